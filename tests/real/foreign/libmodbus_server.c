/* A Modbus server of libmodbus: libmodbus_server tcp|rtu PORT|PATH. Image as in server.py. */
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZE 256
#define BAUD 19200

static void load(modbus_mapping_t *image) {
    char table[16];
    int address, value;
    while (scanf("%15s %d %d", table, &address, &value) == 3) {
        if (address < 0 || address >= SIZE)
            exit(2);
        if (!strcmp(table, "coil"))
            image->tab_bits[address] = value;
        else if (!strcmp(table, "discrete"))
            image->tab_input_bits[address] = value;
        else if (!strcmp(table, "holding"))
            image->tab_registers[address] = value;
        else
            image->tab_input_registers[address] = value;
    }
}

/* Answers questions until the client is gone (TCP) or for ever (RTU). */
static void serve(modbus_t *server, modbus_mapping_t *image, int for_ever) {
    uint8_t question[MODBUS_TCP_MAX_ADU_LENGTH];
    for (;;) {
        int size = modbus_receive(server, question);
        if (size > 0)
            modbus_reply(server, question, size, image);
        else if (size < 0 && !for_ever)
            return;
    }
}

int main(int count, char **words) {
    if (count != 3)
        return 2;
    int rtu = !strcmp(words[1], "rtu");
    modbus_mapping_t *image = modbus_mapping_new(SIZE, SIZE, SIZE, SIZE);
    modbus_t *server = rtu ? modbus_new_rtu(words[2], BAUD, 'N', 8, 1)
                           : modbus_new_tcp("127.0.0.1", atoi(words[2]));
    if (image == NULL || server == NULL)
        return 1;
    load(image);
    modbus_set_slave(server, 1);
    int listening = rtu ? modbus_connect(server) : modbus_tcp_listen(server, 1);
    if (listening < 0)
        return 1;
    puts("ready");
    fflush(stdout);
    while (rtu || modbus_tcp_accept(server, &listening) >= 0) {
        serve(server, image, rtu);
        modbus_close(server);
    }
    return 1;
}
