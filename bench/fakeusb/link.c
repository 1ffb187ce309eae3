/*
 * The bus: transfers of an endpoint are carried in order, at the rate of the link.
 *
 * Nothing sleeps here. `link_advance` brings a link up to now: it works out which transfers have ended since and when.
 * Where both directions share the bus, each gets half of it while both have something to carry.
 */

#include "fake.h"

#include <string.h>

void queue_push(struct queue *queue, struct slot *slot)
{
    slot->next = NULL;
    if (queue->last != NULL)
        queue->last->next = slot;
    else
        queue->first = slot;
    queue->last = slot;
}

struct slot *queue_pop(struct queue *queue)
{
    struct slot *slot = queue->first;
    queue->first = slot->next;
    if (queue->first == NULL)
        queue->last = NULL;
    return slot;
}

bool queue_remove(struct queue *queue, struct slot *slot)
{
    struct slot *before = NULL;
    for (struct slot *each = queue->first; each != NULL; before = each, each = each->next) {
        if (each != slot)
            continue;
        if (before != NULL)
            before->next = each->next;
        else
            queue->first = each->next;
        if (queue->last == each)
            queue->last = before;
        return true;
    }
    return false;
}

static void begin_out(struct phone *phone)
{
    struct direction *out = &phone->out;
    out->is_active = true;
    out->work_ns = settings.out_ns_per_byte * out->queue.first->transfer.length;
}

static void end_out(struct phone *phone)
{
    struct slot *slot = queue_pop(&phone->out.queue);
    struct libusb_transfer *transfer = &slot->transfer;
    uint32_t length = (uint32_t)transfer->length;
    phone->out.is_active = false;
    slot->done = transfer->length;
    counters.out_transfers++;
    counters.out_bytes += length;
    bool has_empty = (transfer->flags & LIBUSB_TRANSFER_ADD_ZERO_PACKET) != 0;
    phone_receive(phone, transfer->buffer, length, length == 0 || length % settings.max_packet != 0 || has_empty);
    slot_is_due(slot, LIBUSB_TRANSFER_COMPLETED);
}

static uint32_t least(uint32_t one, uint32_t other)
{
    return one < other ? one : other;
}

/* Copies what the first IN transfer gets next: up to its end or that of the phone's packet. */
static void begin_in(struct phone *phone)
{
    struct direction *in = &phone->in;
    struct slot *slot = in->queue.first;
    struct outgoing *packet = &phone->packet;
    uint8_t *to = slot->transfer.buffer + slot->done;
    uint32_t room = (uint32_t)(slot->transfer.length - slot->done);
    uint32_t count = least(packet->length - packet->sent, room), left = count;
    if (left > 0 && packet->sent < packet->header_length) {
        uint32_t piece = least(packet->header_length - packet->sent, left);
        memcpy(to, packet->header + packet->sent, piece);
        to += piece;
        left -= piece;
        packet->sent += piece;
    }
    if (left > 0)
        memcpy(to, packet->payload + (packet->sent - packet->header_length), left);
    packet->sent += left;
    in->is_active = true;
    in->carried = count;
    in->work_ns = settings.in_ns_per_byte * count;
    in->is_last = count == room; /* full; else it is ended by a short packet, an empty one included */
    if (packet->sent < packet->length)
        return;
    if (packet->length % settings.max_packet != 0 || (packet->is_ended_by_empty && !in->is_last)) {
        in->is_last = true;
        packet->length = 0;
    } else if (!packet->is_ended_by_empty) {
        packet->length = 0;
    } /* else the transfer is full, and the empty packet goes into the next one */
}

static void end_in(struct phone *phone)
{
    struct direction *in = &phone->in;
    struct slot *slot = in->queue.first;
    in->is_active = false;
    slot->done += (int)in->carried;
    counters.in_bytes += in->carried;
    if (!in->is_last)
        return;
    counters.in_transfers++;
    queue_pop(&in->queue);
    slot_is_due(slot, LIBUSB_TRANSFER_COMPLETED);
}

static double time_to_next_end(const struct phone *phone, double *slowness)
{
    const struct direction *in = &phone->in, *out = &phone->out;
    *slowness = settings.is_shared && in->is_active && out->is_active ? 2 : 1;
    double least = in->is_active && (!out->is_active || in->work_ns < out->work_ns) ? in->work_ns : out->work_ns;
    return least * *slowness;
}

static void work(struct phone *phone, double done_ns)
{
    if (phone->in.is_active)
        phone->in.work_ns -= done_ns;
    if (phone->out.is_active)
        phone->out.work_ns -= done_ns;
}

void link_advance(struct phone *phone, uint64_t now)
{
    struct direction *in = &phone->in, *out = &phone->out;
    for (;;) {
        if (!out->is_active && out->queue.first != NULL)
            begin_out(phone);
        if (!in->is_active && in->queue.first != NULL && (phone->packet.length > 0 || phone_next_packet(phone)))
            begin_in(phone);
        if (!in->is_active && !out->is_active)
            break;
        double slowness, wait_ns = time_to_next_end(phone, &slowness);
        double gone_ns = (double)(now - phone->clock_ns);
        if (wait_ns > gone_ns) {
            work(phone, gone_ns / slowness);
            break;
        }
        phone->clock_ns += (uint64_t)wait_ns;
        work(phone, wait_ns / slowness);
        if (out->is_active && out->work_ns < 1)
            end_out(phone);
        if (in->is_active && in->work_ns < 1)
            end_in(phone);
    }
    phone->clock_ns = now;
}

/* When the next transfer ends if nothing else is submitted. */
uint64_t link_next_ns(const struct phone *phone)
{
    if (!phone->in.is_active && !phone->out.is_active)
        return NEVER;
    double slowness;
    return phone->clock_ns + (uint64_t)time_to_next_end(phone, &slowness) + 1;
}

void link_submit(struct phone *phone, struct slot *slot, uint64_t now)
{
    link_advance(phone, now);
    slot->done = 0;
    queue_push(slot->transfer.endpoint == ENDPOINT_IN ? &phone->in.queue : &phone->out.queue, slot);
    link_advance(phone, now);
}

bool link_cancel(struct phone *phone, struct slot *slot)
{
    struct direction *direction = slot->transfer.endpoint == ENDPOINT_IN ? &phone->in : &phone->out;
    if (slot == direction->queue.first)
        direction->is_active = false;
    return queue_remove(&direction->queue, slot);
}

void link_clear(struct phone *phone)
{
    struct direction *both[] = {&phone->in, &phone->out};
    for (int i = 0; i < 2; i++) {
        both[i]->is_active = false;
        while (both[i]->queue.first != NULL)
            slot_is_due(queue_pop(&both[i]->queue), LIBUSB_TRANSFER_NO_DEVICE);
    }
}
