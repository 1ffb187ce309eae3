/*
 * load MODE name=value...: puts a load on a daemon and prints what it carried and what that cost, as a line of JSON.
 *
 *   receive send duplex   connections= seconds= warm= pace= check=
 *   echo                  size= connections= seconds= warm=
 *   digest                size=
 *   connects              binary= seconds= warm=
 *   lists                 kept= listeners= seconds= warm=
 *   plugs                 count=
 *   hold                  connections= port= listeners=
 *   serve                 is the daemon
 *
 * All: socket= control= pid=, and tcp= for a forwarded port instead of the daemon's socket.
 */

#include "load.h"

#include <stdlib.h>
#include <string.h>

struct options options = {.connections = 1, .seconds = 1, .warm_s = 0.2, .size = 64, .count = 10, .port = PORT_ECHO};

static const struct {
    const char *name;
    bool needs_device;
    void (*run)(void);
} modes[] = {
    {"receive", true, run_receive},
    {"send", true, run_send},
    {"duplex", true, run_duplex},
    {"echo", true, run_echo},
    {"digest", true, run_digest},
    {"connects", true, run_connects},
    {"lists", true, run_lists},
    {"hold", true, run_hold},
    {"plugs", false, run_plugs},
    {"serve", false, run_serve},
};

static void set(const char *name, const char *value)
{
    if (strcmp(name, "socket") == 0)
        options.socket = value;
    else if (strcmp(name, "control") == 0)
        options.control = value;
    else if (strcmp(name, "pid") == 0)
        options.pid = atoi(value);
    else if (strcmp(name, "tcp") == 0)
        options.tcp = atoi(value);
    else if (strcmp(name, "binary") == 0)
        options.is_binary = atoi(value) != 0;
    else if (strcmp(name, "kept") == 0)
        options.is_kept = atoi(value) != 0;
    else if (strcmp(name, "check") == 0)
        options.is_checked_fully = atoi(value) != 0;
    else if (strcmp(name, "connections") == 0)
        options.connections = atoi(value);
    else if (strcmp(name, "listeners") == 0)
        options.listeners = atoi(value);
    else if (strcmp(name, "port") == 0)
        options.port = atoi(value);
    else if (strcmp(name, "count") == 0)
        options.count = atoi(value);
    else if (strcmp(name, "size") == 0)
        options.size = (uint32_t)atol(value);
    else if (strcmp(name, "seconds") == 0)
        options.seconds = atof(value);
    else if (strcmp(name, "warm") == 0)
        options.warm_s = atof(value);
    else if (strcmp(name, "pace") == 0)
        options.pace = atof(value);
    else
        fail("what is %s?", name);
}

int main(int count, char **arguments)
{
    if (count < 2)
        fail("which load?");
    options.mode = arguments[1];
    for (int i = 2; i < count; i++) {
        char *value = strchr(arguments[i], '=');
        if (value == NULL)
            fail("%s has no value", arguments[i]);
        *value = '\0';
        set(arguments[i], value + 1);
    }
    if (options.connections > MAX_CONNECTIONS || options.listeners > MAX_CONNECTIONS || options.size == 0)
        fail("too many connections, or no bytes");
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(options.mode, modes[i].name) != 0)
            continue;
        if (options.tcp == 0 && modes[i].needs_device)
            options.device = first_device();
        modes[i].run();
        return 0;
    }
    fail("what is %s?", options.mode);
}
