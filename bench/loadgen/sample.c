#include "load.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static double seconds_of(clockid_t clock)
{
    struct timespec now = {0};
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t number_of(const char *json, const char *name)
{
    char pattern[64];
    snprintf(pattern, sizeof pattern, "\"%s\": ", name);
    const char *found = strstr(json, pattern);
    if (found == NULL)
        fail("no %s in: %s", name, json);
    return strtoull(found + strlen(pattern), NULL, 10);
}

/* Tells the emulated phone something; its counters come back. */
void control_command(const char *command, struct report *report)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char answer[1024];
    snprintf(address.sun_path, sizeof address.sun_path, "%s", options.control);
    int sock = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    if (connect(sock, (struct sockaddr *)&address, sizeof address) != 0)
        fail("the emulated phone does not answer at %s", options.control);
    send(sock, command, strlen(command), MSG_NOSIGNAL);
    ssize_t length = recv(sock, answer, sizeof answer - 1, 0);
    close(sock);
    if (length <= 0)
        fail("the emulated phone is gone: see what it wrote");
    answer[length] = '\0';
    report->in_transfers = number_of(answer, "in_transfers");
    report->in_bytes = number_of(answer, "in_bytes");
    report->out_transfers = number_of(answer, "out_transfers");
    report->out_bytes = number_of(answer, "out_bytes");
    report->sunk = number_of(answer, "sunk");
    report->interrupts = number_of(answer, "interrupts");
    report->spent_ns = number_of(answer, "spent_ns");
}

void sample_take(struct sample *sample)
{
    clockid_t clock;
    memset(&sample->report, 0, sizeof sample->report);
    if (options.control != NULL)
        control_command("report", &sample->report);
    if (clock_getcpuclockid(options.pid, &clock) != 0)
        fail("process %d has ended", (int)options.pid);
    sample->cpu_s = seconds_of(clock);
    sample->own_cpu_s = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    sample->ns = now_ns();
}

void sample_print(const struct sample *begin, const struct sample *end)
{
    printf("\"elapsed_s\": %.9f, \"cpu_s\": %.9f, \"own_cpu_s\": %.9f, \"fake_s\": %.9f, \"sunk\": %lu, "
           "\"in_transfers\": %lu, \"out_transfers\": %lu, \"interrupts\": %lu",
        (double)(end->ns - begin->ns) / 1e9, end->cpu_s - begin->cpu_s, end->own_cpu_s - begin->own_cpu_s,
        (double)(end->report.spent_ns - begin->report.spent_ns) / 1e9, end->report.sunk - begin->report.sunk,
        end->report.in_transfers - begin->report.in_transfers, end->report.out_transfers - begin->report.out_transfers,
        end->report.interrupts - begin->report.interrupts);
}

void latency_add(struct latencies *latencies, uint64_t ns)
{
    if (latencies->count == latencies->capacity) {
        latencies->capacity = latencies->capacity ? 2 * latencies->capacity : 65536;
        latencies->ns = realloc(latencies->ns, latencies->capacity * sizeof *latencies->ns);
        if (latencies->ns == NULL)
            fail("no memory");
    }
    latencies->ns[latencies->count++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

static int compare(const void *one, const void *other)
{
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return a < b ? -1 : a > b;
}

void latency_print(struct latencies *latencies, int failed, const struct sample *begin, const struct sample *end)
{
    if (latencies->count == 0)
        fail("nothing was answered");
    qsort(latencies->ns, latencies->count, sizeof *latencies->ns, compare);
    double sum_s = 0;
    for (size_t i = 0; i < latencies->count; i++)
        sum_s += latencies->ns[i] / 1e9;
    printf("{\"count\": %zu, \"failed\": %d, \"sum_s\": %.9f, ", latencies->count, failed, sum_s);
    printf("\"p50_s\": %.9f, \"p99_s\": %.9f, \"max_s\": %.9f, ",
        latencies->ns[latencies->count / 2] / 1e9, latencies->ns[latencies->count * 99 / 100] / 1e9,
        latencies->ns[latencies->count - 1] / 1e9);
    sample_print(begin, end);
    printf("}\n");
}

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}
