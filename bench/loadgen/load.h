/*
 * What clients of a daemon do, over and over, and what it costs the daemon. See main.c for the commands.
 *
 *   control.c   what clients say to a daemon          stream.c    bytes without end, one way or both
 *   sample.c    time, CPU and counters                echo.c      questions and answers
 *                                                     request.c   connects, lists, plugs, and clients that do nothing
 *
 *   serve.c     a daemon without a bus, for measuring what stands between it and a client
 */

#ifndef LOAD_LOAD_H
#define LOAD_LOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define MAX_CONNECTIONS 4096

enum { PORT_SOURCE = 1, PORT_SINK = 2, PORT_ECHO = 7, PORT_DIGEST = 9 };

struct options {
    const char *mode;
    const char *socket;  /* of the daemon */
    const char *control; /* of the emulated phone */
    pid_t pid;           /* whose CPU counts */
    int tcp;             /* a forwarded port to connect to instead; 0: none */
    bool is_binary;      /* the older form of requests */
    bool is_kept;        /* all requests on one connection */
    bool is_checked_fully;
    int connections, listeners, port, count;
    uint32_t size;
    double seconds, warm_s, pace;
    unsigned device;
};

struct report {
    uint64_t in_transfers, in_bytes, out_transfers, out_bytes, sunk, interrupts, spent_ns;
};

struct sample {
    uint64_t ns;
    double cpu_s, own_cpu_s;
    struct report report;
};

struct latencies {
    uint32_t *ns;
    size_t count, capacity;
};

extern struct options options;

void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* control.c */
int open_socket(void);
int connect_to(int port);        /* a stream to a port of the phone */
void listen_on(int sock);        /* says that attached phones are to be told */
void list_devices(int sock);
unsigned first_device(void);
unsigned read_message(int sock, char *payload, size_t size); /* the length */
void send_all(int sock, const void *data, size_t length);
void receive_all(int sock, void *data, size_t length);

/* sample.c */
uint64_t now_ns(void);
void sample_take(struct sample *sample);
void sample_print(const struct sample *begin, const struct sample *end);
void control_command(const char *command, struct report *report);
void latency_add(struct latencies *latencies, uint64_t ns);
void latency_print(struct latencies *latencies, int failed, const struct sample *begin, const struct sample *end);

/* stream.c, echo.c, request.c, serve.c */
void run_receive(void);
void run_send(void);
void run_duplex(void);
void run_echo(void);
void run_digest(void);
void run_connects(void);
void run_lists(void);
void run_plugs(void);
void run_hold(void);
void run_serve(void);

#endif
