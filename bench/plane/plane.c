/*
 * A sketch of a data plane in C: what one established connection after the other needs, and no more. It exists to be
 * measured, as the upper bound of what compiled code could gain for the daemon: same bus, same clients, same packets.
 *
 *   plane ... -S SOCKET ...
 *
 * It believes the phone and every client: nothing is checked, nothing is logged, no phone comes or goes, a client that
 * half-closes is gone. Reads, writes and acknowledgements are those of the daemon: 8 reads of 16 KiB, 8 writes, a
 * quarter of the window or 5 ms.
 */

#define _GNU_SOURCE
#include "../fakeusb/abi.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { READS = 8, READ_SIZE = 16384, WRITES = 8, HEADERS = 36, LONGEST = 0xbffc, DELAY_MS = 5, WINDOW = 131072, SHIFT = 8 };
enum { SYN = 2, RST = 4, ACK = 16, OUT = 0x04, IN = 0x85, PORTS = 65536 };
#define MAGIC 0xfeedfaceu

int libusb_init(libusb_context **context);
ssize_t libusb_get_device_list(libusb_context *context, libusb_device ***list);
int libusb_open(libusb_device *device, libusb_device_handle **handle);
int libusb_claim_interface(libusb_device_handle *handle, int number);
struct libusb_transfer *libusb_alloc_transfer(int packets);
int libusb_submit_transfer(struct libusb_transfer *transfer);
int libusb_handle_events_timeout(libusb_context *context, struct timeval *time);
const struct libusb_pollfd **libusb_get_pollfds(libusb_context *context);

struct headers { /* in the order of the network */
    uint32_t protocol, length, magic;
    uint16_t tx_seq, rx_seq, from, to;
    uint32_t seq, ack;
    uint8_t data_offset, flags;
    uint16_t window, checksum, urgent;
};

struct stream {
    struct stream *next; /* in the line of those that have something to send */
    int sock, control;   /* the last: flags of a segment without data that is due */
    bool is_open, is_lined_up, has_input, owes;
    uint16_t host_port, port;
    uint32_t snd_una, snd_nxt, snd_wnd, rcv_taken, rcv_acked, request_tag;
    uint32_t held_length; /* what the client did not take; never more than the window */
    uint8_t *held;
};

static libusb_context *usb;
static libusb_device_handle *phone;
static struct libusb_transfer *idle[WRITES];
static struct stream *by_port[PORTS], *line_first, *line_last, *incoming;
static int idle_count, queue;
static bool is_greeted;
static struct timeval no_time;
static uint32_t incoming_left; /* of the packet whose rest comes with the next read; for `incoming` */
static uint16_t tx_seq, rx_seq = 0xffff, last_port;
static uint64_t owed_ms;

static void need(bool is_so, const char *what)
{
    if (!is_so) {
        fprintf(stderr, "plane: %s\n", what);
        exit(1);
    }
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static void submit(struct libusb_transfer *transfer, uint32_t length)
{
    transfer->length = (int)length;
    need(libusb_submit_transfer(transfer) == 0, "a transfer was not taken");
}

/* Sends `length` bytes that stand behind the room for headers already. */
static void transmit(struct stream *stream, struct libusb_transfer *transfer, int flags, uint32_t length)
{
    *(struct headers *)(void *)transfer->buffer = (struct headers){
        .protocol = htonl(6), .length = htonl(HEADERS + length), .magic = htonl(MAGIC),
        .tx_seq = htons(tx_seq++), .rx_seq = htons(rx_seq), .from = htons(stream->host_port), .to = htons(stream->port),
        .seq = htonl(stream->snd_nxt), .ack = htonl(stream->rcv_taken),
        .data_offset = 5 << 4, .flags = (uint8_t)flags, .window = htons(WINDOW >> SHIFT),
    };
    stream->snd_nxt += length + (flags & SYN ? 1 : 0);
    stream->rcv_acked = stream->rcv_taken;
    stream->owes = false;
    stream->control = 0;
    submit(transfer, HEADERS + length);
}

static void line_up(struct stream *stream)
{
    if (stream->is_lined_up)
        return;
    stream->is_lined_up = true;
    stream->next = NULL;
    *(line_first == NULL ? &line_first : &line_last->next) = stream;
    line_last = stream;
}

static void send_control(struct stream *stream, int flags)
{
    stream->control = flags;
    line_up(stream);
}

static void send_input(struct stream *stream, uint32_t room)
{
    uint32_t limit = room < LONGEST - HEADERS ? room : LONGEST - HEADERS;
    ssize_t count = recv(stream->sock, idle[idle_count - 1]->buffer + HEADERS, limit, MSG_DONTWAIT);
    stream->has_input = (uint32_t)count == limit;
    if (count > 0) {
        transmit(stream, idle[--idle_count], ACK, (uint32_t)count);
        line_up(stream);
    } else if (count == 0) { /* what still comes for it is dropped */
        stream->is_open = false;
        stream->held_length = 0;
        by_port[stream->host_port] = NULL;
        free(stream->held);
        close(stream->sock);
        send_control(stream, RST);
    }
}

/* Each may send one packet in turn, as long as there are writes. */
static void serve_line(void)
{
    for (struct stream *stream; idle_count > 0 && (stream = line_first) != NULL;) {
        line_first = stream->next;
        stream->is_lined_up = false;
        int32_t room = (int32_t)(stream->snd_una + stream->snd_wnd - stream->snd_nxt);
        if (stream->is_open && stream->has_input && room > 0)
            send_input(stream, (uint32_t)room);
        if (stream->control && idle_count > 0)
            transmit(stream, idle[--idle_count], stream->control, 0);
        else if (stream->control)
            line_up(stream);
    }
}

static void note_taken(struct stream *stream, uint32_t count)
{
    stream->rcv_taken += count;
    if (stream->rcv_taken - stream->rcv_acked >= WINDOW / 4) {
        send_control(stream, ACK);
    } else if (!stream->owes) {
        stream->owes = true;
        owed_ms = owed_ms != 0 ? owed_ms : now_ms() + DELAY_MS;
    }
}

static void flush_held(struct stream *stream)
{
    ssize_t taken = send(stream->sock, stream->held, stream->held_length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (taken <= 0)
        return;
    stream->held_length -= (uint32_t)taken;
    memmove(stream->held, stream->held + taken, stream->held_length);
    note_taken(stream, (uint32_t)taken);
}

static void deliver(struct stream *stream, const uint8_t *data, uint32_t length)
{
    if (!stream->is_open || length == 0)
        return;
    ssize_t taken = stream->held_length ? 0 : send(stream->sock, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    uint32_t done = taken > 0 ? (uint32_t)taken : 0;
    memcpy(stream->held + stream->held_length, data + done, length - done);
    stream->held_length += length - done;
    if (done > 0)
        note_taken(stream, done);
}

static void answer(int sock, uint32_t tag, const char *properties)
{
    char message[1024];
    int length = 16 + snprintf(message + 16, sizeof message - 16, "<plist version=\"1.0\"><dict>%s</dict></plist>\n", properties);
    const uint32_t header[] = {(uint32_t)length, 1, 8, tag};
    memcpy(message, header, sizeof header);
    send(sock, message, (size_t)length, MSG_NOSIGNAL);
}

static void receive_segment(const struct headers *headers, const uint8_t *data, uint32_t here)
{
    struct stream *stream = by_port[ntohs(headers->to)];
    if (stream == NULL)
        return;
    stream->snd_una = ntohl(headers->ack);
    stream->snd_wnd = (uint32_t)ntohs(headers->window) << SHIFT;
    if (headers->flags == (SYN | ACK)) {
        stream->rcv_taken = stream->rcv_acked = ntohl(headers->seq) + 1;
        stream->is_open = true;
        send_control(stream, ACK);
        answer(stream->sock, stream->request_tag, "<key>Number</key><integer>0</integer>");
    } else if (headers->flags & RST) {
        if (stream->is_open)
            shutdown(stream->sock, SHUT_RDWR);
        return;
    }
    if (stream->has_input)
        line_up(stream);
    incoming = stream;
    incoming_left = ntohl(headers->length) - HEADERS - here;
    deliver(stream, data, here);
}

/* A packet begins with a transfer, because the one before it ended that of its end. */
static void read_ended(struct libusb_transfer *transfer)
{
    uint32_t size = (uint32_t)transfer->actual_length;
    const struct headers *headers = (const struct headers *)(void *)transfer->buffer;
    need(transfer->status == LIBUSB_TRANSFER_COMPLETED, "a read has failed");
    if (incoming_left > 0) {
        incoming_left -= size;
        deliver(incoming, transfer->buffer, size);
    } else if (size >= HEADERS && headers->protocol == htonl(6)) {
        rx_seq = ntohs(headers->tx_seq);
        receive_segment(headers, transfer->buffer + HEADERS, size - HEADERS);
    } else {
        is_greeted = true;
    }
    submit(transfer, READ_SIZE);
}

static void write_ended(struct libusb_transfer *transfer)
{
    need(transfer->status == LIBUSB_TRANSFER_COMPLETED, "a write has failed");
    idle[idle_count++] = transfer;
}

static struct libusb_transfer *transfer_to(int endpoint, uint32_t size, libusb_transfer_cb_fn ended)
{
    struct libusb_transfer *transfer = libusb_alloc_transfer(0);
    transfer->dev_handle = phone;
    transfer->endpoint = (unsigned char)endpoint;
    transfer->type = LIBUSB_TRANSFER_TYPE_BULK;
    transfer->flags = endpoint == OUT ? LIBUSB_TRANSFER_ADD_ZERO_PACKET : 0;
    transfer->callback = ended;
    transfer->buffer = malloc(size);
    return transfer;
}

static void open_phone(void)
{
    libusb_device **devices;
    need(libusb_init(&usb) == 0 && libusb_get_device_list(usb, &devices) > 0, "there is no phone");
    need(libusb_open(devices[0], &phone) == 0 && libusb_claim_interface(phone, 1) == 0, "the phone cannot be opened");
    for (int i = 0; i < READS; i++)
        submit(transfer_to(IN, READ_SIZE, read_ended), READ_SIZE);
    for (int i = 0; i < WRITES; i++)
        write_ended(transfer_to(OUT, LONGEST, write_ended));
    const uint8_t offer[20] = {[7] = 20, [11] = 2};
    const uint8_t setup[17] = {[3] = 2, [7] = 17, 0xfe, 0xed, 0xfa, 0xce, 0, 0, 0xff, 0xff, 7};
    struct libusb_transfer *transfer = idle[--idle_count];
    memcpy(transfer->buffer, offer, sizeof offer);
    submit(transfer, sizeof offer);
    while (!is_greeted)
        libusb_handle_events_timeout(usb, &no_time);
    transfer = idle[--idle_count];
    memcpy(transfer->buffer, setup, sizeof setup);
    tx_seq++;
    submit(transfer, sizeof setup);
}

static void watch(int descriptor, uint32_t events, struct stream *stream)
{
    struct epoll_event event = {.events = events, .data.ptr = stream};
    epoll_ctl(queue, EPOLL_CTL_ADD, descriptor, &event);
}

/* One request; a client that connects becomes a stream. */
static void serve_request(struct stream *stream)
{
    uint32_t header[4];
    char text[4096];
    ssize_t length = recv(stream->sock, header, sizeof header, 0);
    if (length == (ssize_t)sizeof header && header[0] - 16 < sizeof text)
        length = recv(stream->sock, text, header[0] - 16, MSG_WAITALL);
    if (length <= 0) {
        close(stream->sock);
        free(stream);
        return;
    }
    text[length] = '\0';
    const char *wanted = strstr(text, ">PortNumber<");
    if (wanted == NULL) {
        answer(stream->sock, header[3], "<key>DeviceID</key><integer>1</integer>");
        return;
    }
    stream->port = ntohs((uint16_t)atoi(strstr(wanted, "<integer>") + 9));
    stream->host_port = ++last_port;
    stream->request_tag = header[3];
    stream->held = malloc(WINDOW);
    by_port[stream->host_port] = stream;
    send_control(stream, SYN);
}

static void serve_client(struct stream *stream, uint32_t events)
{
    if (stream->host_port == 0) {
        if (events & (EPOLLIN | EPOLLHUP))
            serve_request(stream);
        return;
    }
    if (events & EPOLLOUT && stream->held_length > 0)
        flush_held(stream);
    if (events & (EPOLLIN | EPOLLHUP)) {
        stream->has_input = true;
        line_up(stream);
    }
}

static void acknowledge_owed(void)
{
    owed_ms = 0;
    for (int port = 1; port <= last_port; port++)
        if (by_port[port] != NULL && by_port[port]->owes)
            send_control(by_port[port], ACK);
    serve_line();
}

static void serve(int listener)
{
    static struct stream listening, bus;
    struct epoll_event events[256];
    watch(listener, EPOLLIN, &listening);
    for (const struct libusb_pollfd **each = libusb_get_pollfds(usb); *each != NULL; each++)
        watch((*each)->fd, (uint32_t)(*each)->events, &bus);
    for (;;) {
        int count = epoll_wait(queue, events, 256, owed_ms != 0 ? DELAY_MS : -1);
        for (int i = 0; i < count; i++) {
            struct stream *stream = events[i].data.ptr;
            if (stream == &bus) {
                libusb_handle_events_timeout(usb, &no_time);
            } else if (stream == &listening) {
                stream = calloc(1, sizeof *stream);
                stream->sock = accept(listener, NULL, NULL);
                watch(stream->sock, EPOLLIN | EPOLLOUT | EPOLLET, stream);
            } else {
                serve_client(stream, events[i].events);
            }
            serve_line();
        }
        if (owed_ms != 0 && now_ms() >= owed_ms)
            acknowledge_owed();
    }
}

int main(int count, char **arguments)
{
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    for (int i = 1; i + 1 < count; i++)
        if (strcmp(arguments[i], "-S") == 0)
            strncpy(path.sun_path, arguments[i + 1], sizeof path.sun_path - 1);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    queue = epoll_create1(0);
    open_phone();
    need(bind(listener, (struct sockaddr *)&path, sizeof path) == 0 && listen(listener, 1024) == 0, "cannot listen");
    serve(listener);
}
