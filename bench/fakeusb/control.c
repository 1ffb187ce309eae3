/*
 * A socket for the measuring program: one command a connection, and every one is answered by the counters.
 *
 *   report    segment BYTES    check 0|1    plug PHONE    unplug PHONE
 */

#define _GNU_SOURCE
#include "fake.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int listener;

static int answer(char *text, size_t size)
{
    uint32_t open = 0;
    for (int i = 0; i < settings.phones; i++)
        open += phones[i].open_connections;
    return snprintf(text, size,
        "{\"in_transfers\": %lu, \"in_bytes\": %lu, \"out_transfers\": %lu, \"out_bytes\": %lu, \"packets_in\": %lu, "
        "\"packets_out\": %lu, \"sunk\": %lu, \"interrupts\": %lu, \"spent_ns\": %lu, \"open\": %u}",
        counters.in_transfers, counters.in_bytes, counters.out_transfers, counters.out_bytes, counters.packets_in,
        counters.packets_out, counters.sunk, counters.interrupts, counters.spent_ns, open);
}

static void obey(const char *command)
{
    unsigned value = 0;
    if (sscanf(command, "segment %u", &value) == 1 && value + 36 <= MAX_PACKET)
        settings.segment = value;
    else if (sscanf(command, "check %u", &value) == 1)
        settings.is_checked_fully = value != 0;
    else if (sscanf(command, "plug %u", &value) == 1 && value < MAX_PHONES)
        phone_plug(&phones[value]);
    else if (sscanf(command, "unplug %u", &value) == 1 && value < MAX_PHONES)
        phone_unplug(&phones[value]);
    else if (strcmp(command, "report") != 0)
        violate("the measuring program asks for '%s'", command);
}

static void *serve(void *unused)
{
    for (;;) {
        char text[1024];
        int sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (sock < 0)
            continue;
        ssize_t length = recv(sock, text, sizeof text - 1, 0);
        if (length > 0) {
            text[length] = '\0';
            pthread_mutex_lock(&fake_lock);
            obey(text);
            int count = answer(text, sizeof text);
            pthread_mutex_unlock(&fake_lock);
            send(sock, text, (size_t)count, MSG_NOSIGNAL);
        }
        close(sock);
    }
    return unused;
}

void control_start(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", settings.control);
    listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 8) != 0)
        violate("cannot listen at %s", settings.control);
    /* Signals are for the threads of the daemon. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 65536);
    if (pthread_create(&thread, &attributes, serve, NULL) != 0)
        violate("no thread");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}
