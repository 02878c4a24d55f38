/* A Modbus server of modbus-serial; usage and image as in server.py. */
"use strict";

const { ServerTCP, ServerSerial } = require("modbus-serial");
const lines = require("fs").readFileSync(0, "utf8").trim().split("\n");
const [transport, place] = process.argv.slice(2);

const tables = { coil: [], discrete: [], holding: [], input: [] };
for (const line of lines) {
    const [table, address, value] = line.split(" ");
    tables[table][Number(address)] = Number(value);
}

function reader(table) {
    return (address) => tables[table][address] || 0;
}

const vector = {
    getCoil: (address) => Boolean(tables.coil[address]),
    getDiscreteInput: (address) => Boolean(tables.discrete[address]),
    getHoldingRegister: reader("holding"),
    getInputRegister: reader("input"),
    setCoil: (address, value) => { tables.coil[address] = Number(value); },
    setRegister: (address, value) => { tables.holding[address] = value; },
};
const server = transport === "tcp"
    ? new ServerTCP(vector, { host: "127.0.0.1", port: Number(place), unitID: 1 })
    : new ServerSerial(vector, { port: place, baudRate: 19200, unitID: 1 });
server.on("initialized", () => console.log("ready"));
