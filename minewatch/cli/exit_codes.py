"""Exit codes of every verb; the numbers from 64 are sysexits'."""

OK = 0
CHECK_FAILED = 1
USAGE = 2
UNREACHABLE = 69
IO_ERROR = 74
NOT_PERMITTED = 77
CONFIGURATION = 78
