#include "load.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int listeners[MAX_CONNECTIONS];
static const struct timeval patience = {1, 0}; /* with a forwarder that has lost a connection */

static void begin_listening(void)
{
    char message[4096];
    for (int i = 0; i < options.listeners; i++) {
        listeners[i] = open_socket();
        listen_on(listeners[i]);
        read_message(listeners[i], message, sizeof message); /* that the phone is attached */
    }
}

static bool connect_once(int unused)
{
    (void)unused;
    int sock = connect_to(PORT_ECHO);
    char byte = 1;
    /* Behind a forwarder, only an answer shows that the way to the phone is open. */
    bool is_open = true;
    if (options.tcp != 0) {
        setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        is_open = send(sock, &byte, 1, MSG_NOSIGNAL) == 1 && recv(sock, &byte, 1, 0) == 1;
    }
    close(sock);
    return is_open;
}

static bool list_anew(int unused)
{
    (void)unused;
    int sock = open_socket();
    list_devices(sock);
    close(sock);
    return true;
}

static bool list_again(int sock)
{
    list_devices(sock);
    return true;
}

static void repeat(bool (*once)(int sock), int sock)
{
    struct sample begin, end;
    struct latencies latencies = {0};
    int failures = 0;
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1)
            sample_take(&begin);
        latencies.count = 0;
        failures = 0;
        double seconds = pass == 0 ? options.warm_s : options.seconds;
        for (uint64_t until_ns = now_ns() + (uint64_t)(seconds * 1e9), before = now_ns(), now; before < until_ns;) {
            bool is_done = once(sock);
            now = now_ns();
            if (is_done)
                latency_add(&latencies, now - before);
            else
                failures++;
            before = now;
        }
    }
    sample_take(&end);
    latency_print(&latencies, failures, &begin, &end);
}

void run_connects(void)
{
    repeat(connect_once, -1);
}

void run_lists(void)
{
    begin_listening();
    if (options.is_kept)
        repeat(list_again, open_socket());
    else
        repeat(list_anew, -1);
}

static void wait_for(int sock, const char *type)
{
    char message[4096];
    do
        read_message(sock, message, sizeof message);
    while (strstr(message, type) == NULL);
}

/* What the last unplug has caused is over before the next plug: nobody is as quick as a program. */
#define PLUG_PAUSE_US 50000

/* Plugs the phone in and out; counts from there until a client is told that it is attached. */
void run_plugs(void)
{
    struct sample begin, end;
    struct report report;
    struct latencies latencies = {0};
    int sock = open_socket();
    listen_on(sock);
    sample_take(&begin);
    for (int i = 0; i < options.count; i++) {
        usleep(PLUG_PAUSE_US);
        uint64_t plugged_ns = now_ns();
        control_command("plug 0", &report);
        wait_for(sock, "<string>Attached</string>");
        latency_add(&latencies, now_ns() - plugged_ns);
        control_command("unplug 0", &report);
        wait_for(sock, "<string>Detached</string>");
    }
    sample_take(&end);
    latency_print(&latencies, 0, &begin, &end);
}

/* Clients that do nothing, until our input ends. */
void run_hold(void)
{
    char byte;
    for (int i = 0; i < options.connections; i++)
        connect_to(options.port);
    begin_listening();
    printf("{\"held\": %d}\n", options.connections + options.listeners);
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        ;
}
