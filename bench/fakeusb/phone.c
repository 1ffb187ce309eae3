/*
 * The phone's side of the mux protocol. It insists on every rule: who breaks one ends with a message.
 *
 * What it has to say is made when the bus has room for it, so acknowledgements and windows are the newest.
 */

#include "services.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum { PROTOCOL_VERSION = 0, PROTOCOL_SETUP = 2, PROTOCOL_TCP = 6 };
enum { SYN = 2, RST = 4, ACK = 16 };
enum { HEADER_1 = 8, HEADER_2 = 16, TCP_HEADER = 20, HEADERS = HEADER_2 + TCP_HEADER };
#define MAGIC 0xfeedfaceu
#define MAX_REFUSALS 4096

struct segment {
    uint16_t host_port, port;
    uint32_t seq, ack;
    int flags;
    uint32_t window;
};

static struct { uint16_t host_port, port; uint32_t ack; } refusals[MAX_PHONES][MAX_REFUSALS];
static uint32_t refusals_begin[MAX_PHONES], refusals_end[MAX_PHONES];
static uint8_t staging[MAX_PHONES][MAX_PACKET];

static void put16(uint8_t *to, uint32_t value)
{
    uint16_t net = htons((uint16_t)value);
    memcpy(to, &net, 2);
}

static void put32(uint8_t *to, uint32_t value)
{
    uint32_t net = htonl(value);
    memcpy(to, &net, 4);
}

static uint16_t get16(const uint8_t *from)
{
    uint16_t net;
    memcpy(&net, from, 2);
    return ntohs(net);
}

static uint32_t get32(const uint8_t *from)
{
    uint32_t net;
    memcpy(&net, from, 4);
    return ntohl(net);
}

static void forget(struct connection *connection)
{
    struct phone *phone = connection->phone;
    phone->connections[connection->host_port] = NULL;
    phone->open_connections--;
    free(connection->held);
    connection->held = NULL;
    connection->is_closed = true;
    if (!connection->is_ready)
        free(connection);
}

static struct connection *next_ready(struct phone *phone)
{
    struct connection *connection = phone->ready_first;
    if (connection == NULL)
        return NULL;
    phone->ready_first = connection->next_ready;
    if (phone->ready_first == NULL)
        phone->ready_last = NULL;
    connection->is_ready = false;
    return connection;
}

void phone_reset(struct phone *phone)
{
    if (phone->connections == NULL)
        phone->connections = calloc(65536, sizeof *phone->connections);
    if (phone->connections == NULL)
        violate("no memory");
    for (int port = 0; port < 65536 && phone->open_connections > 0; port++)
        if (phone->connections[port] != NULL)
            forget(phone->connections[port]);
    for (struct connection *each; (each = next_ready(phone)) != NULL;)
        free(each);
    refusals_begin[phone->number] = refusals_end[phone->number] = 0;
    memset(&phone->packet, 0, sizeof phone->packet);
    phone->is_version_2 = phone->wants_empty = false;
    phone->greetings = 0;
}

static uint32_t sendable(const struct connection *connection)
{
    uint64_t wanted = connection->service->wants_to_send(connection);
    uint32_t whole = wanted < settings.segment ? (uint32_t)wanted : settings.segment;
    int32_t room = (int32_t)(connection->snd_una + connection->snd_wnd - connection->snd_nxt);
    if (room <= 0 || connection->is_syn_ack_due)
        return 0;
    if ((uint32_t)room >= whole)
        return whole;
    return connection->snd_nxt == connection->snd_una ? (uint32_t)room : 0;
}

static bool has_something(const struct connection *connection)
{
    return connection->is_syn_ack_due || connection->is_ack_due || sendable(connection) > 0;
}

static void make_ready(struct connection *connection)
{
    struct phone *phone = connection->phone;
    if (connection->is_ready || !has_something(connection))
        return;
    connection->is_ready = true;
    connection->next_ready = NULL;
    if (phone->ready_last != NULL)
        phone->ready_last->next_ready = connection;
    else
        phone->ready_first = connection;
    phone->ready_last = connection;
}

static void put_packet(struct phone *phone, const struct segment *segment, const uint8_t *payload, uint32_t length)
{
    struct outgoing *packet = &phone->packet;
    uint8_t *mux = packet->header, *tcp = packet->header + HEADER_2;
    put32(mux, PROTOCOL_TCP);
    put32(mux + 4, HEADERS + length);
    put32(mux + 8, MAGIC);
    put16(mux + 12, phone->tx_seq++);
    put16(mux + 14, phone->next_rx_seq - 1u);
    put16(tcp, segment->port);
    put16(tcp + 2, segment->host_port);
    put32(tcp + 4, segment->seq);
    put32(tcp + 8, segment->ack);
    tcp[12] = TCP_HEADER / 4 << 4;
    tcp[13] = (uint8_t)segment->flags;
    put16(tcp + 14, segment->window >> 8);
    put32(tcp + 16, 0);
    packet->header_length = HEADERS;
    packet->length = HEADERS + length;
    packet->payload = payload;
    packet->sent = 0;
    packet->is_ended_by_empty = !(settings.omits_empty && packet->length % 16384 == 0);
    counters.packets_in++;
}

static void put_greeting(struct phone *phone)
{
    struct outgoing *packet = &phone->packet;
    const uint32_t words[] = {PROTOCOL_VERSION, 20, 2, 0, 0};
    for (int i = 0; i < 5; i++)
        put32(packet->header + 4 * i, words[i]);
    packet->header_length = packet->length = 20;
    packet->sent = 0;
    packet->is_ended_by_empty = true;
}

static void put_segment(struct connection *connection)
{
    struct phone *phone = connection->phone;
    struct segment segment = {
        .host_port = connection->host_port,
        .port = connection->port,
        .seq = connection->snd_nxt,
        .ack = connection->rcv_nxt,
        .flags = connection->is_syn_ack_due ? SYN | ACK : ACK,
    };
    uint32_t length = sendable(connection);
    const uint8_t *payload = NULL;
    if (length > 0)
        payload = connection->service->give(connection, length, staging[phone->number]);
    segment.window = (settings.window - connection->held_length) & ~255u;
    put_packet(phone, &segment, payload, length);
    connection->sent += length;
    connection->snd_nxt += length + connection->is_syn_ack_due;
    if ((int32_t)(segment.ack + segment.window - connection->rcv_edge) > 0)
        connection->rcv_edge = segment.ack + segment.window;
    connection->is_syn_ack_due = connection->is_ack_due = false;
}

/* Makes the packet that goes out next; false: the phone has nothing to say. */
bool phone_next_packet(struct phone *phone)
{
    if (phone->greetings > 0) {
        phone->greetings--;
        put_greeting(phone);
        return true;
    }
    uint32_t *begin = &refusals_begin[phone->number];
    if (*begin != refusals_end[phone->number]) {
        uint32_t index = (*begin)++ % MAX_REFUSALS;
        struct segment segment = {
            .host_port = refusals[phone->number][index].host_port,
            .port = refusals[phone->number][index].port,
            .ack = refusals[phone->number][index].ack,
            .flags = RST,
        };
        put_packet(phone, &segment, NULL, 0);
        return true;
    }
    for (struct connection *connection; (connection = next_ready(phone)) != NULL;) {
        if (connection->is_closed) {
            free(connection);
        } else if (has_something(connection)) {
            put_segment(connection);
            make_ready(connection);
            return true;
        }
    }
    return false;
}

static void open_connection(struct phone *phone, const struct segment *segment)
{
    const struct service *service = service_at(segment->port);
    if (phone->connections[segment->host_port] != NULL)
        violate("SYN from port %u, which is in use", segment->host_port);
    if (service == NULL) {
        uint32_t index = refusals_end[phone->number]++ % MAX_REFUSALS;
        refusals[phone->number][index].host_port = segment->host_port;
        refusals[phone->number][index].port = segment->port;
        refusals[phone->number][index].ack = segment->seq + 1;
        return;
    }
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        violate("no memory");
    connection->phone = phone;
    connection->service = service;
    connection->host_port = segment->host_port;
    connection->port = segment->port;
    connection->rcv_nxt = connection->rcv_edge = segment->seq + 1;
    connection->snd_wnd = segment->window;
    connection->is_syn_ack_due = true;
    phone->connections[segment->host_port] = connection;
    phone->open_connections++;
    make_ready(connection);
}

static void take_segment(
    struct connection *connection, const struct segment *segment, const uint8_t *data, uint32_t length)
{
    if (segment->flags != ACK)
        violate("flags %#x in an open connection", (unsigned)segment->flags);
    if (segment->seq != connection->rcv_nxt)
        violate("sequence number %u instead of %u", segment->seq, connection->rcv_nxt);
    if (segment->ack - connection->snd_una > connection->snd_nxt - connection->snd_una)
        violate("acknowledged %u, but %u to %u would be right", segment->ack, connection->snd_una, connection->snd_nxt);
    if ((int32_t)(segment->seq + length - connection->rcv_edge) > 0)
        violate("%u bytes beyond the window", segment->seq + length - connection->rcv_edge);
    connection->snd_una = segment->ack;
    connection->snd_wnd = segment->window;
    if (length > 0) {
        connection->service->take(connection, data, length);
        connection->received += length;
        connection->rcv_nxt += length;
        connection->is_ack_due = true;
    }
    make_ready(connection);
}

static void receive_tcp(struct phone *phone, const uint8_t *tcp, uint32_t length)
{
    if (length < TCP_HEADER || tcp[12] >> 4 != TCP_HEADER / 4)
        violate("%u bytes are no segment", length);
    struct segment segment = {
        .host_port = get16(tcp),
        .port = get16(tcp + 2),
        .seq = get32(tcp + 4),
        .ack = get32(tcp + 8),
        .flags = tcp[13],
        .window = (uint32_t)get16(tcp + 14) << 8,
    };
    struct connection *connection = phone->connections[segment.host_port];
    if (segment.flags == SYN)
        open_connection(phone, &segment);
    else if (connection != NULL && connection->port != segment.port)
        violate("port %u is connected to %u, not to %u", segment.host_port, connection->port, segment.port);
    else if (segment.flags & RST)
        connection != NULL ? forget(connection) : (void)0; /* it may answer what has crossed an earlier one */
    else if (connection == NULL)
        violate("a segment for the unknown connection %u to %u", segment.host_port, segment.port);
    else
        take_segment(connection, &segment, tcp + TCP_HEADER, length - TCP_HEADER);
}

static void receive_version_2(struct phone *phone, const uint8_t *data, uint32_t length)
{
    if (length < HEADER_2 || get32(data + 8) != MAGIC)
        violate("%u bytes without the magic of version 2", length);
    if (get16(data + 12) != phone->next_rx_seq)
        violate("packet %u instead of %u", get16(data + 12), phone->next_rx_seq);
    phone->next_rx_seq++;
    if (get32(data) == PROTOCOL_TCP)
        receive_tcp(phone, data + HEADER_2, length - HEADER_2);
    else
        violate("protocol %u", get32(data));
}

void phone_receive(struct phone *phone, const uint8_t *data, uint32_t length, bool is_ended)
{
    if (phone->wants_empty != (length == 0))
        violate("a transfer of %u bytes where %s", length, phone->wants_empty ? "an empty one is due" : "none is due");
    phone->wants_empty = !is_ended;
    if (length == 0)
        return;
    if (length < HEADER_1 || length > MAX_PACKET - 1 || get32(data + 4) != length)
        violate("a transfer of %u bytes is no packet", length);
    counters.packets_out++;
    if (get32(data) == PROTOCOL_VERSION) {
        if (length != 20 || get32(data + 8) != 2)
            violate("a wrong VERSION");
        bool wants_empty = phone->wants_empty;
        phone_reset(phone);
        phone->wants_empty = wants_empty;
        phone->greetings = 1;
    } else if (get32(data) == PROTOCOL_SETUP) {
        if (length != HEADER_2 + 1 || data[HEADER_2] != 7 || get16(data + 12) != 0 || get16(data + 14) != 0xffff)
            violate("a wrong SETUP");
        phone->is_version_2 = true;
        phone->tx_seq = 0;
        phone->next_rx_seq = 1;
    } else if (phone->is_version_2) {
        receive_version_2(phone, data, length);
    } else {
        violate("protocol %u before SETUP", get32(data));
    }
}
