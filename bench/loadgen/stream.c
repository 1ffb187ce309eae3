#include "load.h"

#include "../fakeusb/pattern.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#define CHUNK 262144u
#define SAMPLE 64

static struct stream {
    int sock;
    uint64_t received, sent;
    uint64_t before; /* received and sent when the measurement began */
} streams[MAX_CONNECTIONS];

static uint8_t chunk[CHUNK];

static void check(const struct stream *stream, size_t length)
{
    size_t count = options.is_checked_fully || length < 2 * SAMPLE ? length : SAMPLE;
    const uint8_t *expected = pattern_at(stream->received);
    if (memcmp(chunk, expected, count) != 0 || memcmp(chunk + length - count, expected + length - count, count) != 0)
        fail("other bytes came than the phone sent, at %lu", stream->received);
}

static void receive(struct stream *stream, size_t most)
{
    ssize_t count = recv(stream->sock, chunk, most, 0);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0)
        fail("a stream ended after %lu bytes", stream->received);
    check(stream, (size_t)count);
    stream->received += (uint64_t)count;
}

static void transmit(struct stream *stream)
{
    ssize_t count = send(stream->sock, pattern_at(stream->sent), CHUNK, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0)
        fail("a stream ended after %lu bytes were sent", stream->sent);
    stream->sent += (uint64_t)count;
}

/* Moves bytes until that time. */
static void move(int queue, bool sends, uint64_t until_ns)
{
    struct epoll_event events[256];
    while (now_ns() < until_ns) {
        int count = epoll_wait(queue, events, 256, 5);
        for (int i = 0; i < count; i++) {
            if (events[i].events & (EPOLLIN | EPOLLHUP))
                receive(events[i].data.ptr, CHUNK);
            if (sends && (events[i].events & EPOLLOUT))
                transmit(events[i].data.ptr);
        }
    }
}

/* Takes as much as the pace allows until that time. */
static void dawdle(struct stream *stream, uint64_t until_ns)
{
    uint64_t begin_ns = now_ns(), begin = stream->received;
    while (now_ns() < until_ns) {
        receive(stream, 32768);
        uint64_t due_ns = begin_ns + (uint64_t)((double)(stream->received - begin) / options.pace * 1e9);
        struct timespec due = {(time_t)(due_ns / 1000000000), (long)(due_ns % 1000000000)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
    }
}

static void run_until(int queue, bool sends, double seconds)
{
    uint64_t until_ns = now_ns() + (uint64_t)(seconds * 1e9);
    if (options.pace > 0)
        dawdle(&streams[0], until_ns);
    else
        move(queue, sends, until_ns);
}

static void run(bool receives, bool sends)
{
    struct sample begin, end;
    int queue = epoll_create1(0);
    pattern_make(PATTERN_REACH);
    for (int i = 0; i < options.connections; i++) {
        streams[i].sock = connect_to(receives ? PORT_SOURCE : PORT_SINK);
        struct epoll_event event = {.events = EPOLLIN | (sends ? EPOLLOUT : 0), .data.ptr = &streams[i]};
        epoll_ctl(queue, EPOLL_CTL_ADD, streams[i].sock, &event);
    }
    run_until(queue, sends, options.warm_s);
    for (int i = 0; i < options.connections; i++)
        streams[i].before = streams[i].received + streams[i].sent;
    uint64_t received = 0, sent = 0;
    for (int i = 0; i < options.connections; i++) {
        received -= streams[i].received;
        sent -= streams[i].sent;
    }
    sample_take(&begin);
    run_until(queue, sends, options.seconds);
    sample_take(&end);
    double sum = 0, squares = 0;
    for (int i = 0; i < options.connections; i++) {
        double moved = (double)(streams[i].received + streams[i].sent - streams[i].before);
        received += streams[i].received;
        sent += streams[i].sent;
        sum += moved;
        squares += moved * moved;
    }
    printf("{\"received\": %lu, \"sent\": %lu, \"fairness\": %.6f, ", received, sent,
        squares > 0 ? sum * sum / squares / options.connections : 0);
    sample_print(&begin, &end);
    printf("}\n");
}

void run_receive(void)
{
    run(true, false);
}

void run_send(void)
{
    run(false, true);
}

void run_duplex(void)
{
    run(true, true);
}

/* Sends so many bytes, and compares what the phone says about them with what was sent. */
void run_digest(void)
{
    uint8_t head[8], answer[16];
    uint64_t digest = 14695981039346656037u, length = options.size;
    pattern_make(PATTERN_REACH);
    for (int i = 0; i < 8; i++)
        head[i] = (uint8_t)(length >> (56 - 8 * i));
    int sock = connect_to(PORT_DIGEST);
    send_all(sock, head, sizeof head);
    for (uint64_t sent = 0; sent < length;) {
        uint64_t count = length - sent < CHUNK ? length - sent : CHUNK;
        const uint8_t *data = pattern_at(sent);
        for (uint64_t i = 0; i < count; i++)
            digest = (digest ^ data[i]) * 1099511628211u;
        send_all(sock, data, count);
        sent += count;
    }
    receive_all(sock, answer, sizeof answer);
    uint64_t told = 0;
    for (int i = 0; i < 8; i++)
        told = told << 8 | answer[8 + i];
    if (memcmp(answer, head, sizeof head) != 0 || told != digest)
        fail("the phone did not get what was sent");
    printf("{\"checked\": %lu}\n", length);
}
