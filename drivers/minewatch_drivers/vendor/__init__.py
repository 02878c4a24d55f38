"""Serial lines that are not Modbus: card readers, a time receiver, a modem."""
