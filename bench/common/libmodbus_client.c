/* Reads input registers with libmodbus as fast as it goes.
 *
 *     libmodbus_client PATH BAUD REGISTERS SECONDS
 *
 * Prints "exchanges failures wall_s cpu_s"; the first exchange is not counted.
 */
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double seconds_of(clockid_t clock) {
    struct timespec at;
    clock_gettime(clock, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

int main(int count, char **words) {
    if (count != 5) {
        fprintf(stderr, "libmodbus_client PATH BAUD REGISTERS SECONDS\n");
        return 2;
    }
    int registers = atoi(words[3]);
    double limit_s = atof(words[4]), wall_s = 0;
    long done = 0, failures = 0;
    uint16_t values[125];
    modbus_t *line = modbus_new_rtu(words[1], atoi(words[2]), 'E', 8, 1);
    if (line == NULL || modbus_set_slave(line, 1) || modbus_connect(line)) {
        fprintf(stderr, "cannot open %s\n", words[1]);
        return 1;
    }
    modbus_set_response_timeout(line, 1, 0);
    modbus_read_input_registers(line, 0, registers, values);
    double begun_s = seconds_of(CLOCK_MONOTONIC), cpu_s = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    while (wall_s < limit_s) {
        if (modbus_read_input_registers(line, 0, registers, values) == registers)
            done++;
        else
            failures++;
        wall_s = seconds_of(CLOCK_MONOTONIC) - begun_s;
    }
    printf("%ld %ld %f %f\n", done, failures, wall_s, seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu_s);
    modbus_close(line);
    modbus_free(line);
    return 0;
}
