/* The socket to the process that plays the devices: one thread reads and writes it, so that nobody waits for room. */

#define _GNU_SOURCE
#include "fake.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CALL_TIMEOUT_S 20
#define MAX_PAYLOAD (1 << 20)

struct outgoing {
    struct outgoing *next;
    size_t length;
    size_t written;
    uint8_t bytes[];
};

pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;
struct device fake_devices[MAX_DEVICES];

static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_t thread;
static int users;
static int sock = -1;
static int wake = -1;
static bool stopping, broken, listed;
static struct outgoing *first, **last = &first;
static uint32_t calls;

/* A call that waits for its answer; stands on the stack of the caller. */
static struct waiting_call {
    struct waiting_call *next;
    uint32_t tag;
    bool answered;
    int value;
    char text[64];
} *waiting;

static void attach(const struct frame *frame, const uint8_t *payload)
{
    struct device *device = &fake_devices[frame->device % MAX_DEVICES];
    /* u8 bus, u8 address, u8 configuration, u8 length of the name, u32 speed, u32 capabilities, name, descriptors */
    size_t name_length = payload[3], descriptors = 12 + name_length;
    memset(device, 0, sizeof *device);
    device->id = frame->device;
    device->bus = payload[0];
    device->address = payload[1];
    device->configuration = payload[2];
    memcpy(&device->speed, payload + 4, 4);
    memcpy(&device->capabilities, payload + 8, 4);
    memcpy(device->name, payload + 12, name_length);
    device->descriptors_length = frame->length - descriptors;
    if (device->descriptors_length > MAX_DESCRIPTORS)
        device->descriptors_length = MAX_DESCRIPTORS;
    memcpy(device->descriptors, payload + descriptors, device->descriptors_length);
    device->listed = device->connected = true;
    if (listed && !frame->detail)
        udev_report("add", device);
}

static void answer(const struct frame *frame, const uint8_t *payload)
{
    for (struct waiting_call *call = waiting; call != NULL; call = call->next)
        if (call->tag == frame->tag) {
            call->answered = true;
            call->value = frame->value;
            snprintf(call->text, sizeof call->text, "%.*s", (int)frame->length, (const char *)payload);
        }
}

static void dispatch(const struct frame *frame, const uint8_t *payload)
{
    struct device *device = &fake_devices[frame->device % MAX_DEVICES];
    uint32_t actual_length = 0;
    switch (frame->type) {
    case FRAME_ATTACH:
        attach(frame, payload);
        break;
    case FRAME_DISCONNECT:
        device->connected = false;
        usbfs_disconnect(device);
        break;
    case FRAME_REMOVE:
        device->listed = false;
        if (!frame->detail)
            udev_report("remove", device);
        break;
    case FRAME_LISTED:
        listed = true;
        break;
    case FRAME_COMPLETE:
        memcpy(&actual_length, payload, 4);
        usbfs_complete(frame->tag, frame->value, actual_length, payload + 4, frame->length - 4);
        break;
    case FRAME_REPLY:
        answer(frame, payload);
        break;
    case FRAME_CONFIGURED:
        device->configuration = (uint8_t)frame->value;
        break;
    case FRAME_FAIL_OPEN:
        device->open_error = frame->value;
        break;
    case FRAME_FAIL_SUBMIT:
        device->submit_error = frame->value;
        break;
    default:
        fprintf(stderr, "fake usbfs: unknown frame %u\n", frame->type);
    }
    pthread_cond_broadcast(&changed);
}

/* One read and what is complete by then. Returns false at the end of the stream. */
static bool receive(void)
{
    static uint8_t buffer[sizeof(struct frame) + MAX_PAYLOAD];
    static size_t filled;
    ssize_t got = recv(sock, buffer + filled, sizeof buffer - filled, MSG_DONTWAIT);
    size_t used = 0;
    struct frame frame;
    if (got <= 0) {
        bool again = got < 0 && (errno == EAGAIN || errno == EINTR);
        if (!again)
            filled = 0;
        return again;
    }
    filled += (size_t)got;
    while (filled - used >= sizeof frame) {
        memcpy(&frame, buffer + used, sizeof frame);
        if (filled - used < sizeof frame + frame.length)
            break;
        pthread_mutex_lock(&fake_lock);
        dispatch(&frame, buffer + used + sizeof frame);
        pthread_mutex_unlock(&fake_lock);
        used += sizeof frame + frame.length;
    }
    memmove(buffer, buffer + used, filled - used);
    filled -= used;
    return true;
}

static void transmit(void)
{
    pthread_mutex_lock(&fake_lock);
    while (first != NULL) {
        struct outgoing *item = first;
        ssize_t sent = send(sock, item->bytes + item->written, item->length - item->written,
                            MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0)
            break;
        item->written += (size_t)sent;
        if (item->written < item->length)
            break;
        first = item->next;
        if (first == NULL)
            last = &first;
        free(item);
    }
    pthread_mutex_unlock(&fake_lock);
}

static void *run(void *unused)
{
    (void)unused;
    for (;;) {
        struct pollfd polled[] = {{.fd = wake, .events = POLLIN}, {.fd = sock, .events = POLLIN}};
        uint64_t count;
        pthread_mutex_lock(&fake_lock);
        bool end = stopping && first == NULL;
        if (first != NULL)
            polled[1].events |= POLLOUT;
        pthread_mutex_unlock(&fake_lock);
        if (end || poll(polled, 2, -1) < 0)
            break;
        if (polled[0].revents && read(wake, &count, sizeof count) < 0)
            break;
        if (polled[1].revents & POLLOUT)
            transmit();
        if ((polled[1].revents & (POLLIN | POLLHUP | POLLERR)) && !receive())
            break;
    }
    pthread_mutex_lock(&fake_lock);
    broken = true;
    for (int i = 0; i < MAX_DEVICES; i++) {
        fake_devices[i].connected = false;
        usbfs_disconnect(&fake_devices[i]);
    }
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&fake_lock);
    return NULL;
}

bool bridge_start(void)
{
    const char *path = getenv("FAKE_USBFS_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (users++ > 0)
        return true;
    users = 0;
    if (path == NULL || strlen(path) >= sizeof address.sun_path)
        return false;
    strcpy(address.sun_path, path);
    memset(fake_devices, 0, sizeof fake_devices);
    stopping = broken = listed = false;
    sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(sock, (struct sockaddr *)&address, sizeof address) < 0) {
        close(sock);
        return false;
    }
    wake = eventfd(0, EFD_CLOEXEC);
    pthread_create(&thread, NULL, run, NULL);
    users = 1;
    return true;
}

void bridge_stop(void)
{
    uint64_t one = 1;
    if (--users > 0)
        return;
    pthread_mutex_lock(&fake_lock);
    stopping = true;
    pthread_mutex_unlock(&fake_lock);
    if (write(wake, &one, sizeof one) < 0)
        perror("fake usbfs");
    pthread_join(thread, NULL);
    close(sock);
    close(wake);
    wake = -1;
    while (first != NULL) {
        struct outgoing *item = first;
        first = item->next;
        free(item);
    }
    last = &first;
}

/* With the lock held. */
void bridge_send(struct frame frame, const void *payload)
{
    struct outgoing *item;
    uint64_t one = 1;
    if (wake < 0)
        return;
    item = malloc(sizeof *item + sizeof frame + frame.length);
    item->next = NULL;
    item->written = 0;
    item->length = sizeof frame + frame.length;
    memcpy(item->bytes, &frame, sizeof frame);
    if (frame.length > 0)
        memcpy(item->bytes + sizeof frame, payload, frame.length);
    *last = item;
    last = &item->next;
    if (write(wake, &one, sizeof one) < 0)
        perror("fake usbfs");
}

/* With the lock held; gives it up while it waits. Returns 0 or an errno; the answer's text goes to `text`. */
int bridge_call(uint16_t device, enum call call, int32_t value, char *text, size_t text_size)
{
    struct waiting_call mine = {.next = waiting, .tag = ++calls, .value = EIO}, **place = &waiting;
    struct timespec deadline;
    bridge_send(
        (struct frame){.type = FRAME_CALLED, .detail = call, .device = device, .tag = mine.tag, .value = value}, NULL);
    waiting = &mine;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += CALL_TIMEOUT_S;
    while (!mine.answered && !broken)
        if (pthread_cond_timedwait(&changed, &fake_lock, &deadline) == ETIMEDOUT) {
            fprintf(stderr, "fake usbfs: no answer to call %d: was it made in the thread that must answer?\n", call);
            break;
        }
    while (*place != &mine)
        place = &(*place)->next;
    *place = mine.next;
    if (text != NULL)
        snprintf(text, text_size, "%s", mine.text);
    return mine.value;
}

/* With the lock held. Waits until the devices present at the start are known. */
bool bridge_wait_listed(void)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += CALL_TIMEOUT_S;
    while (!listed && !broken)
        if (pthread_cond_timedwait(&changed, &fake_lock, &deadline) == ETIMEDOUT)
            return false;
    return listed;
}
