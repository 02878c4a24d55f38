"""The machine of a Modbus line: whose turn it is, and one exchange at a time."""
