/* What listens on the phone's ports. */

#ifndef FAKEUSB_SERVICES_H
#define FAKEUSB_SERVICES_H

#include "fake.h"

enum { PORT_SOURCE = 1, PORT_SINK = 2, PORT_ECHO = 7, PORT_DIGEST = 9 };

struct connection {
    struct connection *next_ready;
    struct phone *phone;
    const struct service *service;
    uint16_t host_port, port;
    bool is_ready, is_closed, is_syn_ack_due, is_ack_due;
    uint32_t snd_una, snd_nxt, snd_wnd, rcv_nxt, rcv_edge; /* the last: end of the window that we told */
    uint64_t received, sent;                               /* payload, as offsets into both streams */
    uint8_t *held; /* bytes that wait for their way back; a ring of settings.window */
    uint32_t held_start, held_length;
    uint64_t expected, digest;
};

struct service {
    int port;
    void (*take)(struct connection *connection, const uint8_t *data, uint32_t length);
    uint64_t (*wants_to_send)(const struct connection *connection);
    /* Where `count` bytes stand; `staging` has room for them. */
    const uint8_t *(*give)(struct connection *connection, uint32_t count, uint8_t *staging);
};

const struct service *service_at(int port); /* NULL: nothing listens there */

#endif
