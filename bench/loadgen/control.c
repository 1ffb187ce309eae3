#include "load.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { RESULT = 1, CONNECT = 2, PLIST = 8 };

struct header {
    uint32_t length, version, type, tag;
};

/* As the clients of the field write it. */
static const char plist_begin[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"
    "<plist version=\"1.0\">\n<dict>\n"
    "\t<key>BundleID</key>\n\t<string>org.example.bench</string>\n"
    "\t<key>ClientVersionString</key>\n\t<string>bench 1</string>\n"
    "\t<key>MessageType</key>\n\t<string>%s</string>\n"
    "\t<key>ProgName</key>\n\t<string>bench</string>\n"
    "\t<key>kLibUSBMuxVersion</key>\n\t<integer>3</integer>\n%s</dict>\n</plist>\n";

void send_all(int sock, const void *data, size_t length)
{
    for (size_t sent = 0; sent < length;) {
        ssize_t count = send(sock, (const char *)data + sent, length - sent, MSG_NOSIGNAL);
        if (count <= 0)
            fail("the daemon hung up while %zu bytes were sent", length);
        sent += (size_t)count;
    }
}

void receive_all(int sock, void *data, size_t length)
{
    for (size_t received = 0; received < length;) {
        ssize_t count = recv(sock, (char *)data + received, length - received, 0);
        if (count <= 0)
            fail("the daemon hung up after %zu of %zu bytes", received, length);
        received += (size_t)count;
    }
}

int open_socket(void)
{
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    struct sockaddr_in port = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.tcp)};
    const struct timeval patience = {20, 0}; /* for an answer */
    port.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    snprintf(path.sun_path, sizeof path.sun_path, "%s", options.socket != NULL ? options.socket : "");
    bool is_tcp = options.tcp != 0;
    int sock = socket(is_tcp ? AF_INET : AF_UNIX, SOCK_STREAM, 0), one = 1;
    int result = is_tcp ? connect(sock, (struct sockaddr *)&port, sizeof port)
                        : connect(sock, (struct sockaddr *)&path, sizeof path);
    if (result != 0)
        fail("cannot connect to %s, port %d", path.sun_path, options.tcp);
    if (is_tcp)
        setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return sock;
}

unsigned read_message(int sock, char *payload, size_t size)
{
    struct header header;
    receive_all(sock, &header, sizeof header);
    if (header.length < sizeof header || header.length - sizeof header >= size)
        fail("an answer of %u bytes", header.length);
    unsigned length = header.length - (unsigned)sizeof header;
    receive_all(sock, payload, length);
    payload[length] = '\0';
    return length;
}

static void send_plist(int sock, const char *type, const char *more)
{
    struct {
        struct header header;
        char text[2048];
    } message;
    int length = snprintf(message.text, sizeof message.text, plist_begin, type, more);
    message.header = (struct header){(uint32_t)length + sizeof message.header, 1, PLIST, 1};
    send_all(sock, &message, message.header.length);
}

static unsigned integer_of(const char *plist, const char *key)
{
    char pattern[64];
    snprintf(pattern, sizeof pattern, "<key>%s</key>", key);
    const char *found = strstr(plist, pattern);
    found = found != NULL ? strstr(found, "<integer>") : NULL;
    if (found == NULL)
        fail("no %s in: %s", key, plist);
    return (unsigned)strtoul(found + 9, NULL, 10);
}

static void ask_for_port(int sock, int port)
{
    char answer[4096], more[256];
    unsigned result;
    if (options.is_binary) {
        struct {
            struct header header;
            uint32_t device;
            uint16_t port, unused;
        } request = {{24, 0, CONNECT, 1}, options.device, htons((uint16_t)port), 0};
        send_all(sock, &request, sizeof request);
        read_message(sock, answer, sizeof answer);
        memcpy(&result, answer, sizeof result);
    } else {
        snprintf(more, sizeof more,
            "\t<key>DeviceID</key>\n\t<integer>%u</integer>\n\t<key>PortNumber</key>\n\t<integer>%u</integer>\n",
            options.device, htons((uint16_t)port));
        send_plist(sock, "Connect", more);
        read_message(sock, answer, sizeof answer);
        result = integer_of(answer, "Number");
    }
    if (result != 0)
        fail("connecting to port %d: result %u", port, result);
}

int connect_to(int port)
{
    int sock = open_socket();
    uint8_t choice = (uint8_t)port;
    if (options.tcp == 0)
        ask_for_port(sock, port);
    else
        send_all(sock, &choice, 1); /* behind a forwarder stands serve.c */
    return sock;
}

void listen_on(int sock)
{
    char answer[4096];
    send_plist(sock, "Listen", "");
    read_message(sock, answer, sizeof answer);
    if (integer_of(answer, "Number") != 0)
        fail("Listen was refused: %s", answer);
}

void list_devices(int sock)
{
    char answer[65536];
    send_plist(sock, "ListDevices", "");
    read_message(sock, answer, sizeof answer);
}

unsigned first_device(void)
{
    char answer[65536];
    for (int attempts = 0; attempts < 1000; attempts++) {
        int sock = open_socket();
        send_plist(sock, "ListDevices", "");
        read_message(sock, answer, sizeof answer);
        close(sock);
        if (strstr(answer, "<key>DeviceID</key>") != NULL)
            return integer_of(answer, "DeviceID");
        usleep(10000);
    }
    fail("no phone is attached: %s", answer);
}
