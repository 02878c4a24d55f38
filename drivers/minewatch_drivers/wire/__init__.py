"""What stands on a wire: Modbus, one question with every check of its answer, vendor frames."""
