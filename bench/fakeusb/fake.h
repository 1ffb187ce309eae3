/*
 * A libusb whose only devices are emulated phones on an emulated bus, both inside the calling process.
 *
 *   library.c     libusb's functions: contexts, devices, handles
 *   stubs.c       libusb's functions that only have to exist
 *   transfers.c   libusb's functions: transfers and events
 *   hotplug.c     libusb's functions: comings and goings
 *   link.c        the bus: which transfer carries which bytes until when
 *   phone.c       the phone's side of the mux protocol, strict
 *   services.c    what listens on its ports
 *   settings.c    what the environment asks for
 *   control.c     a socket for the measuring program
 *
 * One lock guards everything; callbacks run without it. Times are nanoseconds of CLOCK_MONOTONIC.
 */

#ifndef FAKEUSB_FAKE_H
#define FAKEUSB_FAKE_H

#include "abi.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define MAX_PHONES 64
#define MAX_CHANGES 256
#define VENDOR 0x05ac
#define MAX_PACKET 65536
#define ENDPOINT_OUT 0x04
#define ENDPOINT_IN 0x85
#define SERIAL_LENGTH 24
#define NEVER UINT64_MAX

/* A transfer and what we keep for it. */
struct slot {
    struct slot *next;
    libusb_context *context;
    bool is_submitted;
    int status, done; /* written into the transfer when its end is delivered */
    struct libusb_transfer transfer; /* the last one: packet descriptors follow it */
};

struct queue {
    struct slot *first, *last;
};

/* A packet of the phone's on its way to the host: header, then payload. */
struct outgoing {
    uint8_t header[36];
    uint32_t header_length, length, sent;
    const uint8_t *payload;
    bool is_ended_by_empty; /* a zero-length packet is due after it */
};

/* One direction of a link; work_ns is what the transfer being carried still needs at full rate. */
struct direction {
    struct queue queue;
    bool is_active;
    double work_ns;
    uint32_t carried; /* IN: bytes that this step adds to the transfer */
    bool is_last;     /* IN: the step ends the transfer */
};

struct connection;

struct counters {
    uint64_t in_transfers, in_bytes, out_transfers, out_bytes; /* at the bus */
    uint64_t packets_in, packets_out;                          /* of the mux; in is towards the host */
    uint64_t sunk;                                             /* payload that sinks have taken */
    uint64_t interrupts, spent_ns;                             /* deliveries of completions; time inside this library */
};

struct phone {
    int number;
    uint8_t address;       /* 0: not plugged in */
    libusb_context *owner; /* of the handle that has claimed the interface */
    int configuration;
    uint64_t clock_ns;
    struct direction in, out;
    struct outgoing packet; /* the one that IN transfers are filled from; length 0: none */
    bool wants_empty;       /* the last OUT packet filled its USB packets and must be ended */
    /* mux */
    int greetings; /* answers to VERSION that are due */
    bool is_version_2;
    uint16_t tx_seq, next_rx_seq;
    struct connection **connections; /* by the host's port */
    struct connection *ready_first, *ready_last;
    uint32_t open_connections;
};

struct libusb_device {
    libusb_context *context;
    int references;
    int number;      /* of the phone */
    uint8_t address; /* of the phone when this was made: it has left since if it has another one now */
};

struct libusb_device_handle {
    libusb_device *device;
    bool has_claimed;
};

struct hotplug {
    int id, events, vendor;
    libusb_hotplug_callback_fn callback;
    void *user_data;
};

struct libusb_context {
    libusb_context *next;
    int event, timer; /* the descriptors to poll */
    bool is_signalled;
    uint64_t armed_ns;       /* when the timer fires; 0: never */
    uint64_t quiet_until_ns; /* no interrupt before that */
    struct queue due;
    bool is_handling, is_interrupted;
    struct hotplug hotplug; /* one registration; id 0: none */
    struct {
        libusb_device *device;
        int event;
    } changes[MAX_CHANGES];
    int change_count;
};

struct settings {
    double in_ns_per_byte, out_ns_per_byte;
    bool is_shared;
    int speed;
    uint32_t max_packet;
    uint64_t moderation_ns;
    uint32_t segment;    /* payload of the phone's packets */
    uint32_t window;     /* what the phone takes */
    bool is_plugged;
    bool is_checked_fully;
    bool omits_empty;    /* no zero-length packet after multiples of 16384 */
    int phones;
    const char *control;
};

extern struct settings settings;
extern struct counters counters;
extern struct phone phones[MAX_PHONES];
extern pthread_mutex_t fake_lock;
extern libusb_context *contexts;

uint64_t now_ns(void);
void violate(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* settings.c */
void settings_read(void);

/* control.c */
void control_start(void);

/* library.c */
libusb_context *context_or_default(libusb_context *context);
struct phone *phone_of(const libusb_device *device); /* NULL: it has left */
libusb_device *device_of(libusb_context *context, const struct phone *phone);
void libusb_unref_device(libusb_device *device);

/* hotplug.c; the lock is held except for the last */
void phone_plug(struct phone *phone);
void phone_unplug(struct phone *phone);
void changes_deliver(libusb_context *context);

/* transfers.c; the lock is held */
void context_arm(libusb_context *context);
void slot_is_due(struct slot *slot, int status);

/* link.c; the lock is held */
void queue_push(struct queue *queue, struct slot *slot);
struct slot *queue_pop(struct queue *queue);
bool queue_remove(struct queue *queue, struct slot *slot);
void link_advance(struct phone *phone, uint64_t now);
uint64_t link_next_ns(const struct phone *phone);
void link_submit(struct phone *phone, struct slot *slot, uint64_t now);
bool link_cancel(struct phone *phone, struct slot *slot);
void link_clear(struct phone *phone);

/* phone.c; the lock is held */
void phone_reset(struct phone *phone);
bool phone_next_packet(struct phone *phone);
void phone_receive(struct phone *phone, const uint8_t *data, uint32_t length, bool is_ended);

#endif
