"""Personnel readers on Modbus: four styles in which a device keeps whom it heard."""
