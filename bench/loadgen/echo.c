#include "load.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static struct talk {
    int sock;
    uint64_t asked_ns;
    uint32_t waiting; /* bytes of the answer that have not come */
} talks[MAX_CONNECTIONS];

static uint8_t *question, *answer;

static void ask(struct talk *talk)
{
    talk->waiting = options.size;
    talk->asked_ns = now_ns();
    send_all(talk->sock, question, options.size);
}

static void hear(struct talk *talk, struct latencies *latencies)
{
    ssize_t count = recv(talk->sock, answer, talk->waiting, 0);
    if (count <= 0)
        fail("an echo ended");
    talk->waiting -= (uint32_t)count;
    if (talk->waiting > 0)
        return;
    if (memcmp(answer, question, (size_t)count) != 0)
        fail("the echo is not what was said");
    latency_add(latencies, now_ns() - talk->asked_ns);
    ask(talk);
}

static void alone(struct latencies *latencies, uint64_t until_ns)
{
    while (now_ns() < until_ns) {
        uint64_t asked_ns = now_ns();
        question[options.size - 1]++;
        send_all(talks[0].sock, question, options.size);
        receive_all(talks[0].sock, answer, options.size);
        latency_add(latencies, now_ns() - asked_ns);
        if (memcmp(answer, question, options.size) != 0)
            fail("the echo is not what was said");
    }
}

static void together(int queue, struct latencies *latencies, uint64_t until_ns)
{
    struct epoll_event events[256];
    while (now_ns() < until_ns) {
        int count = epoll_wait(queue, events, 256, 100);
        for (int i = 0; i < count; i++)
            hear(events[i].data.ptr, latencies);
    }
}

void run_echo(void)
{
    struct sample begin, end;
    struct latencies latencies = {0};
    int queue = epoll_create1(0);
    question = calloc(1, options.size);
    answer = calloc(1, options.size);
    for (int i = 0; i < options.connections; i++) {
        talks[i].sock = connect_to(PORT_ECHO);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &talks[i]};
        epoll_ctl(queue, EPOLL_CTL_ADD, talks[i].sock, &event);
    }
    bool is_alone = options.connections == 1;
    for (int i = 0; i < options.connections && !is_alone; i++)
        ask(&talks[i]);
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1)
            sample_take(&begin);
        latencies.count = 0;
        uint64_t until_ns = now_ns() + (uint64_t)((pass == 0 ? options.warm_s : options.seconds) * 1e9);
        is_alone ? alone(&latencies, until_ns) : together(queue, &latencies, until_ns);
    }
    sample_take(&end);
    latency_print(&latencies, 0, &begin, &end);
}
