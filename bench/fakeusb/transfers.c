/* libusb's functions: transfers and events. */

#define _GNU_SOURCE
#include "fake.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

static const uint8_t languages[] = {4, 3, 9, 4};

static struct slot *slot_of(struct libusb_transfer *transfer)
{
    return (struct slot *)((char *)transfer - offsetof(struct slot, transfer));
}

struct libusb_transfer *libusb_alloc_transfer(int iso_packets)
{
    size_t extra = (size_t)iso_packets * sizeof(struct libusb_iso_packet_descriptor);
    struct slot *slot = calloc(1, sizeof *slot + extra);
    return slot != NULL ? &slot->transfer : NULL;
}

void libusb_free_transfer(struct libusb_transfer *transfer)
{
    if (transfer == NULL)
        return;
    struct slot *slot = slot_of(transfer);
    if (slot->is_submitted)
        violate("a transfer was freed that is in flight");
    if (transfer->flags & LIBUSB_TRANSFER_FREE_BUFFER)
        free(transfer->buffer);
    free(slot);
}

void slot_is_due(struct slot *slot, int status)
{
    slot->status = status;
    queue_push(&slot->context->due, slot);
}

static void set_timer(libusb_context *context, uint64_t when_ns)
{
    struct itimerspec when = {0};
    if (context->armed_ns == when_ns)
        return;
    context->armed_ns = when_ns;
    when.it_value.tv_sec = (time_t)(when_ns / 1000000000);
    when.it_value.tv_nsec = (long)(when_ns % 1000000000);
    timerfd_settime(context->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Has a descriptor become readable when there is something to handle: the event at once, the timer later. */
void context_arm(libusb_context *context)
{
    if (context->is_handling)
        return; /* it is armed at the end */
    uint64_t now = now_ns(), next = NEVER;
    if (context->due.first != NULL)
        next = context->quiet_until_ns > now ? context->quiet_until_ns : now;
    else
        for (int i = 0; i < settings.phones; i++)
            if (phones[i].owner == context && link_next_ns(&phones[i]) < next)
                next = link_next_ns(&phones[i]);
    if (next != NEVER && next < context->quiet_until_ns)
        next = context->quiet_until_ns;
    if (context->change_count > 0 || context->is_interrupted)
        next = now;
    bool has_fired = context->armed_ns != 0 && context->armed_ns <= now;
    if (next <= now) {
        if (!context->is_signalled && !has_fired)
            eventfd_write(context->event, 1);
        context->is_signalled |= !has_fired;
        return;
    }
    if (context->is_signalled) {
        eventfd_t unused;
        eventfd_read(context->event, &unused);
        context->is_signalled = false;
    }
    set_timer(context, next == NEVER ? 0 : next);
}

/* The length of the answer to a control request, -1 for a stall. */
static int answer_control(const struct phone *phone, const uint8_t *setup, uint8_t *data)
{
    uint8_t serial[2 + 2 * SERIAL_LENGTH] = {sizeof serial, 3};
    int wanted = setup[6] | setup[7] << 8;
    if (setup[0] != 0x80 || setup[1] != 6 || setup[3] != 3)
        return -1;
    for (int i = 0; i < SERIAL_LENGTH; i++)
        serial[2 + 2 * i] = (uint8_t)"000081010000000000000000"[i];
    serial[2 + 2 * (SERIAL_LENGTH - 2)] = (uint8_t)('0' + phone->number / 10);
    serial[2 + 2 * (SERIAL_LENGTH - 1)] = (uint8_t)('0' + phone->number % 10);
    const uint8_t *answer = setup[2] == 0 ? languages : serial;
    int length = setup[2] == 0 ? (int)sizeof languages : (int)sizeof serial;
    length = length < wanted ? length : wanted;
    memcpy(data, answer, (size_t)length);
    return length;
}

int libusb_control_transfer(libusb_device_handle *handle, uint8_t type, uint8_t request, uint16_t value,
    uint16_t index, unsigned char *data, uint16_t length, unsigned int timeout)
{
    (void)timeout;
    const uint8_t setup[] = {
        type, request, value & 255, value >> 8, index & 255, index >> 8, length & 255, length >> 8,
    };
    pthread_mutex_lock(&fake_lock);
    struct phone *phone = phone_of(handle->device);
    int answered = phone == NULL ? LIBUSB_ERROR_NO_DEVICE : answer_control(phone, setup, data);
    pthread_mutex_unlock(&fake_lock);
    return answered == -1 ? LIBUSB_ERROR_PIPE : answered;
}

static int submit(struct slot *slot, uint64_t now)
{
    struct libusb_transfer *transfer = &slot->transfer;
    struct phone *phone = phone_of(transfer->dev_handle->device);
    if (slot->is_submitted)
        return LIBUSB_ERROR_BUSY;
    if (phone == NULL)
        return LIBUSB_ERROR_NO_DEVICE;
    slot->context = transfer->dev_handle->device->context;
    if (transfer->type == LIBUSB_TRANSFER_TYPE_CONTROL) {
        int answered = answer_control(phone, transfer->buffer, transfer->buffer + 8);
        slot->done = answered < 0 ? 0 : answered;
        slot_is_due(slot, answered < 0 ? LIBUSB_TRANSFER_STALL : LIBUSB_TRANSFER_COMPLETED);
    } else if (transfer->type == LIBUSB_TRANSFER_TYPE_BULK && transfer->timeout == 0 &&
               (transfer->endpoint == ENDPOINT_IN || transfer->endpoint == ENDPOINT_OUT)) {
        if (!transfer->dev_handle->has_claimed)
            violate("a bulk transfer, but the interface is not claimed");
        link_submit(phone, slot, now);
    } else {
        return LIBUSB_ERROR_NOT_SUPPORTED;
    }
    slot->is_submitted = true;
    context_arm(slot->context);
    return LIBUSB_SUCCESS;
}

int libusb_submit_transfer(struct libusb_transfer *transfer)
{
    pthread_mutex_lock(&fake_lock);
    uint64_t now = now_ns();
    int result = submit(slot_of(transfer), now);
    counters.spent_ns += now_ns() - now;
    pthread_mutex_unlock(&fake_lock);
    return result;
}

int libusb_cancel_transfer(struct libusb_transfer *transfer)
{
    struct slot *slot = slot_of(transfer);
    int result = LIBUSB_ERROR_NOT_FOUND;
    pthread_mutex_lock(&fake_lock);
    struct phone *phone = slot->is_submitted ? phone_of(transfer->dev_handle->device) : NULL;
    if (phone != NULL && transfer->type == LIBUSB_TRANSFER_TYPE_BULK) {
        link_advance(phone, now_ns());
        if (link_cancel(phone, slot)) {
            slot_is_due(slot, LIBUSB_TRANSFER_CANCELLED);
            context_arm(slot->context);
            result = LIBUSB_SUCCESS;
        }
    }
    pthread_mutex_unlock(&fake_lock);
    return result;
}

static struct slot *take_due(libusb_context *context)
{
    pthread_mutex_lock(&fake_lock);
    uint64_t now = now_ns();
    struct slot *first = NULL;
    context->is_handling = true;
    context->is_interrupted = false;
    for (int i = 0; i < settings.phones; i++)
        if (phones[i].owner == context)
            link_advance(&phones[i], now);
    if (context->due.first != NULL && now >= context->quiet_until_ns) {
        first = context->due.first;
        context->due.first = context->due.last = NULL;
        context->quiet_until_ns = now + settings.moderation_ns;
        counters.interrupts++;
    }
    counters.spent_ns += now_ns() - now;
    pthread_mutex_unlock(&fake_lock);
    return first;
}

static void deliver(struct slot *slot)
{
    while (slot != NULL) {
        struct slot *next = slot->next;
        struct libusb_transfer *transfer = &slot->transfer;
        transfer->actual_length = slot->done;
        transfer->status = slot->status;
        slot->is_submitted = false;
        bool is_freed = (transfer->flags & LIBUSB_TRANSFER_FREE_TRANSFER) != 0;
        if (transfer->callback != NULL)
            transfer->callback(transfer);
        if (is_freed)
            libusb_free_transfer(transfer);
        slot = next;
    }
}

static bool handle_once(libusb_context *context)
{
    bool was_interrupted = context->is_interrupted || context->change_count > 0;
    changes_deliver(context);
    struct slot *first = take_due(context);
    deliver(first);
    pthread_mutex_lock(&fake_lock);
    uint64_t now = now_ns();
    context->is_handling = false;
    context_arm(context);
    counters.spent_ns += now_ns() - now;
    pthread_mutex_unlock(&fake_lock);
    return first != NULL || was_interrupted;
}

int libusb_handle_events_timeout_completed(libusb_context *context, struct timeval *timeout, int *completed)
{
    context = context_or_default(context);
    uint64_t end = now_ns() + (uint64_t)timeout->tv_sec * 1000000000 + (uint64_t)timeout->tv_usec * 1000;
    while (!handle_once(context) && (completed == NULL || !*completed)) {
        uint64_t now = now_ns();
        if (now >= end)
            break;
        struct pollfd descriptors[] = {{context->event, POLLIN, 0}, {context->timer, POLLIN, 0}};
        struct timespec wait = {(time_t)((end - now) / 1000000000), (long)((end - now) % 1000000000)};
        ppoll(descriptors, 2, &wait, NULL);
    }
    return LIBUSB_SUCCESS;
}

int libusb_handle_events_timeout(libusb_context *context, struct timeval *timeout)
{
    return libusb_handle_events_timeout_completed(context, timeout, NULL);
}

int libusb_handle_events_completed(libusb_context *context, int *completed)
{
    struct timeval minute = {60, 0};
    return libusb_handle_events_timeout_completed(context, &minute, completed);
}

int libusb_handle_events(libusb_context *context)
{
    return libusb_handle_events_completed(context, NULL);
}
