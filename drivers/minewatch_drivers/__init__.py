"""Lines and devices: bytes on a wire in, checked readings out.

A device is a data file (`devices/`), a line is a machine without sockets (`line`), runners move
its bytes. drivers/README.md tells how to add a device.
"""
