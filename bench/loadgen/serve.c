/*
 * A daemon with one phone and no bus, for measuring what stands between it and a client: forwarders and client
 * libraries. It believes every client. A stream's first byte says which port's service it is (see `connect_to`).
 */

#define _GNU_SOURCE
#include "load.h"

#include "../fakeusb/pattern.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CHUNK 262144u
#define UDID "00008101-0000000000000000"

enum state { REQUESTS, CHOICE, STREAM };

struct client {
    int sock;
    enum state state;
    int service;
    uint64_t sent;
};

static int queue;
static uint8_t chunk[CHUNK];

static const char properties[] =
    "<key>DeviceID</key><integer>1</integer><key>MessageType</key><string>Attached</string>"
    "<key>Properties</key><dict><key>ConnectionSpeed</key><integer>480000000</integer>"
    "<key>ConnectionType</key><string>USB</string><key>DeviceID</key><integer>1</integer>"
    "<key>LocationID</key><integer>65537</integer><key>ProductID</key><integer>4776</integer>"
    "<key>SerialNumber</key><string>" UDID "</string></dict>";

static void watch(struct client *client, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = client};
    epoll_ctl(queue, EPOLL_CTL_MOD, client->sock, &event);
}

static void end(struct client *client)
{
    close(client->sock);
    free(client);
}

static void answer(int sock, uint32_t tag, const char *format, const char *text)
{
    char message[4096];
    int length = 16 + snprintf(message + 16, sizeof message - 16,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\"><dict>");
    length += snprintf(message + length, sizeof message - (size_t)length, format, text);
    length += snprintf(message + length, sizeof message - (size_t)length, "</dict></plist>\n");
    const uint32_t header[] = {(uint32_t)length, 1, 8, tag};
    memcpy(message, header, sizeof header);
    send(sock, message, (size_t)length, MSG_NOSIGNAL);
}

static bool serve_request(struct client *client)
{
    static const char result[] = "<key>MessageType</key><string>Result</string><key>Number</key><integer>%s</integer>";
    uint32_t header[4];
    char text[16384];
    if (recv(client->sock, header, sizeof header, MSG_WAITALL) != sizeof header || header[0] - 16 >= sizeof text)
        return false;
    ssize_t length = recv(client->sock, text, header[0] - 16, MSG_WAITALL);
    if (length != (ssize_t)header[0] - 16)
        return false;
    text[length] = '\0';
    if (strstr(text, ">ListDevices<") != NULL) {
        answer(client->sock, header[3], "<key>DeviceList</key><array><dict>%s</dict></array>", properties);
    } else if (strstr(text, ">Listen<") != NULL) {
        answer(client->sock, header[3], result, "0");
        answer(client->sock, 0, "%s", properties);
    } else if (strstr(text, ">Connect<") != NULL) {
        client->state = CHOICE;
        answer(client->sock, header[3], result, "0");
    } else {
        answer(client->sock, header[3], result, "1");
    }
    return true;
}

static bool choose(struct client *client)
{
    uint8_t service;
    if (recv(client->sock, &service, 1, 0) != 1)
        return false;
    client->service = service;
    client->state = STREAM;
    watch(client, service == PORT_SOURCE ? EPOLLIN | EPOLLOUT : EPOLLIN);
    return true;
}

static bool give(struct client *client)
{
    ssize_t count = send(client->sock, pattern_at(client->sent), CHUNK, MSG_DONTWAIT | MSG_NOSIGNAL);
    client->sent += count > 0 ? (uint64_t)count : 0;
    return count > 0 || errno == EAGAIN;
}

static bool take(struct client *client)
{
    ssize_t count = recv(client->sock, chunk, CHUNK, MSG_DONTWAIT);
    if (count > 0 && client->service == PORT_ECHO)
        return send(client->sock, chunk, (size_t)count, MSG_NOSIGNAL) == count;
    return count > 0 || (count < 0 && errno == EAGAIN);
}

static bool serve(struct client *client, uint32_t events)
{
    if (client->state == REQUESTS)
        return serve_request(client);
    if (client->state == CHOICE)
        return choose(client);
    return (!(events & EPOLLOUT) || give(client)) && (!(events & ~(uint32_t)EPOLLOUT) || take(client));
}

/* Until it is killed. */
void run_serve(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct epoll_event events[256], event = {.events = EPOLLIN};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    queue = epoll_create1(0);
    pattern_make(PATTERN_REACH);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", options.socket);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 1024) != 0)
        fail("cannot listen at %s", options.socket);
    epoll_ctl(queue, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(queue, events, 256, -1);
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            if (client != NULL && !serve(client, events[i].events))
                end(client);
            if (client != NULL)
                continue;
            client = calloc(1, sizeof *client);
            client->sock = accept(listener, NULL, NULL);
            event = (struct epoll_event){.events = EPOLLIN, .data.ptr = client};
            epoll_ctl(queue, EPOLL_CTL_ADD, client->sock, &event);
        }
    }
}
