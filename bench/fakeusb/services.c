#include "services.h"

#include "pattern.h"

#include <stdlib.h>
#include <string.h>

#define SAMPLE 16

static uint64_t nothing_to_send(const struct connection *connection)
{
    (void)connection;
    return 0;
}

static uint64_t always_to_send(const struct connection *connection)
{
    (void)connection;
    return UINT64_MAX;
}

static const uint8_t *give_pattern(struct connection *connection, uint32_t count, uint8_t *staging)
{
    (void)count;
    (void)staging;
    return pattern_at(connection->sent);
}

static void check(const struct connection *connection, const uint8_t *data, uint32_t length, uint64_t offset)
{
    uint32_t count = settings.is_checked_fully || length < 2 * SAMPLE ? length : SAMPLE;
    const uint8_t *expected = pattern_at(offset);
    if (memcmp(data, expected, count) != 0 || memcmp(data + length - count, expected + length - count, count) != 0)
        violate("port %d got other bytes than its client sent, at %llu", connection->port, (unsigned long long)offset);
}

static void take_pattern(struct connection *connection, const uint8_t *data, uint32_t length)
{
    check(connection, data, length, connection->received);
    counters.sunk += length;
}

static void hold(struct connection *connection, const uint8_t *data, uint32_t length)
{
    if (connection->held == NULL && (connection->held = malloc(settings.window)) == NULL)
        violate("no memory");
    uint32_t end = (connection->held_start + connection->held_length) % settings.window;
    uint32_t piece = settings.window - end < length ? settings.window - end : length;
    memcpy(connection->held + end, data, piece);
    memcpy(connection->held, data + piece, length - piece);
    connection->held_length += length;
}

static uint64_t held_to_send(const struct connection *connection)
{
    return connection->held_length;
}

static const uint8_t *give_held(struct connection *connection, uint32_t count, uint8_t *staging)
{
    uint32_t to_end = settings.window - connection->held_start, piece = to_end < count ? to_end : count;
    memcpy(staging, connection->held + connection->held_start, piece);
    memcpy(staging + piece, connection->held, count - piece);
    connection->held_start = (connection->held_start + count) % settings.window;
    connection->held_length -= count;
    return staging;
}

/* Eight bytes say how many follow; the answer is that number and the FNV-1a digest of what followed. */
static void take_digest(struct connection *connection, const uint8_t *data, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++) {
        if (connection->received + i < 8) {
            connection->expected = connection->expected << 8 | data[i];
            connection->digest = 14695981039346656037u;
        } else {
            connection->digest = (connection->digest ^ data[i]) * 1099511628211u;
        }
    }
    if (connection->received + length != connection->expected + 8)
        return;
    uint8_t answer[16];
    for (int i = 0; i < 8; i++) {
        answer[i] = (uint8_t)(connection->expected >> (56 - 8 * i));
        answer[8 + i] = (uint8_t)(connection->digest >> (56 - 8 * i));
    }
    hold(connection, answer, sizeof answer);
}

static const struct service services[] = {
    {PORT_SOURCE, take_pattern, always_to_send, give_pattern},
    {PORT_SINK, take_pattern, nothing_to_send, give_pattern},
    {PORT_ECHO, hold, held_to_send, give_held},
    {PORT_DIGEST, take_digest, held_to_send, give_held},
};

const struct service *service_at(int port)
{
    if (pattern_bytes[0] == 0)
        pattern_make(MAX_PACKET);
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
        if (services[i].port == port)
            return &services[i];
    return NULL;
}
