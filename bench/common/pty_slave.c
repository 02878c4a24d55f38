/* A Modbus RTU slave on a pty that answers at the pace of a wire, in a process of its own.
 *
 *     pty_slave BAUD BITS_PER_CHARACTER SILENCE_US FIFO_BYTES
 *
 * Prints the path of its port. A question is on the wire for as long as its bytes take; the silent
 * interval later the answer follows, handed over FIFO_BYTES at a time when the last of them would
 * have arrived. Deadlines are absolute, so that one late wake does not delay the next byte. Each
 * line on standard input is answered with "questions short_gaps damaged least_gap_us cycle_us" since
 * the line before; the end of standard input ends the slave. A gap is short if the next question
 * came sooner than SILENCE_US after the last byte of the answer was handed over. The cycle is the
 * median time from one question to the next.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define QUESTION_BYTES 8
#define ANSWER_BYTES_MAX 256
#define NONE INT64_MAX
#define CYCLES_MAX 8192

static int64_t now_ns(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static void sleep_until(int64_t due_ns) {
    struct timespec due = {due_ns / 1000000000LL, due_ns % 1000000000LL};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
        ;
}

static uint16_t crc16(const uint8_t *data, int size) {
    uint16_t crc = 0xFFFF;
    for (int i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1;
    }
    return crc;
}

/* Returns the size of the answer to a read of registers: every register holds its own number. */
static int answer(const uint8_t *question, uint8_t *frame) {
    int first = question[2] << 8 | question[3], count = question[5];
    int size = 3 + 2 * count;
    frame[0] = question[0];
    frame[1] = question[1];
    frame[2] = 2 * count;
    for (int i = 0; i < count; i++) {
        frame[3 + 2 * i] = (first + i) >> 8;
        frame[4 + 2 * i] = first + i;
    }
    uint16_t crc = crc16(frame, size);
    frame[size] = crc;
    frame[size + 1] = crc >> 8;
    return size + 2;
}

struct wire {
    int port;
    double byte_ns;
    int64_t silence_ns;
    int fifo;
    int64_t last_ns; /* when the last byte of an answer was handed over; 0 before the first */
    long questions, short_gaps, damaged;
    int64_t least_gap_ns;
    int64_t begun_ns; /* when the first byte of the question before came */
    long cycles;
    int64_t cycle_ns[CYCLES_MAX];
};

static int by_length(const void *one, const void *other) {
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

static int64_t median_cycle_us(struct wire *wire) {
    if (wire->cycles == 0)
        return -1;
    qsort(wire->cycle_ns, wire->cycles, sizeof wire->cycle_ns[0], by_length);
    return wire->cycle_ns[wire->cycles / 2] / 1000;
}

static void speak(struct wire *wire, const uint8_t *question, int64_t begun_ns) {
    uint8_t frame[ANSWER_BYTES_MAX];
    int size = answer(question, frame);
    double due_ns = begun_ns + QUESTION_BYTES * wire->byte_ns + wire->silence_ns;
    for (int at = 0; at < size; at += wire->fifo) {
        int piece = size - at < wire->fifo ? size - at : wire->fifo;
        due_ns += piece * wire->byte_ns;
        sleep_until((int64_t)due_ns);
        wire->last_ns = now_ns();
        if (write(wire->port, frame + at, piece) != piece)
            exit(1);
    }
}

static void hear(struct wire *wire) {
    static uint8_t heard[QUESTION_BYTES];
    static int have;
    int64_t at_ns = now_ns();
    if (have == 0) {
        if (wire->begun_ns && wire->cycles < CYCLES_MAX)
            wire->cycle_ns[wire->cycles++] = at_ns - wire->begun_ns;
        wire->begun_ns = at_ns;
        int64_t gap_ns = at_ns - wire->last_ns;
        if (wire->last_ns && gap_ns < wire->silence_ns)
            wire->short_gaps++;
        if (wire->last_ns && gap_ns < wire->least_gap_ns)
            wire->least_gap_ns = gap_ns;
    }
    ssize_t size = read(wire->port, heard + have, QUESTION_BYTES - have);
    if (size <= 0)
        return;
    have += size;
    if (have < QUESTION_BYTES)
        return;
    have = 0;
    wire->questions++;
    if (crc16(heard, 6) != (heard[6] | heard[7] << 8) || heard[5] > 125 || heard[4]) {
        wire->damaged++;
        return;
    }
    speak(wire, heard, wire->begun_ns);
}

/* Returns 0 at the end of standard input. */
static int report(struct wire *wire) {
    char line[64];
    if (read(0, line, sizeof line) <= 0)
        return 0;
    long least_us = wire->least_gap_ns == NONE ? -1 : wire->least_gap_ns / 1000;
    printf("%ld %ld %ld %ld %ld\n", wire->questions, wire->short_gaps, wire->damaged, least_us,
           (long)median_cycle_us(wire));
    fflush(stdout);
    wire->questions = wire->short_gaps = wire->damaged = wire->cycles = 0;
    wire->least_gap_ns = NONE;
    return 1;
}

int main(int count, char **words) {
    if (count != 5) {
        fprintf(stderr, "pty_slave BAUD BITS_PER_CHARACTER SILENCE_US FIFO_BYTES\n");
        return 2;
    }
    static struct wire wire;
    wire = (struct wire){.byte_ns = atof(words[2]) * 1e9 / atof(words[1]),
                        .silence_ns = atoll(words[3]) * 1000,
                        .fifo = atoi(words[4]),
                        .least_gap_ns = NONE};
    wire.port = posix_openpt(O_RDWR | O_NOCTTY);
    if (wire.port < 0 || wire.fifo < 1 || grantpt(wire.port) || unlockpt(wire.port))
        return 1;
    const char *path = ptsname(wire.port);
    int held = open(path, O_RDWR | O_NOCTTY); /* so that the port outlives its clients */
    struct termios raw;
    if (held < 0 || tcgetattr(held, &raw))
        return 1;
    cfmakeraw(&raw);
    tcsetattr(held, TCSANOW, &raw);
    prctl(PR_SET_TIMERSLACK, 1);
    printf("%s\n", path);
    fflush(stdout);
    struct pollfd ready[2] = {{wire.port, POLLIN, 0}, {0, POLLIN, 0}};
    while (poll(ready, 2, -1) >= 0 || errno == EINTR) {
        if (ready[0].revents & POLLIN)
            hear(&wire);
        if (ready[1].revents && !report(&wire))
            return 0;
    }
    return 1;
}
