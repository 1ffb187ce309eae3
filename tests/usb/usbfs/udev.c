/* The part of libudev that libusb calls, over the devices of the bridge. */

#define _GNU_SOURCE
#include "fake.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct udev {
    int unused;
};

struct udev_device {
    struct udev_device *next;
    char action[8];
    char name[64];
    char node[32];
};

struct udev_list_entry {
    struct udev_list_entry *next;
    char name[128];
};

struct udev_enumerate {
    struct udev_list_entry *entries;
};

struct udev_monitor {
    int unused;
};

static struct udev the_udev;
static struct udev_monitor the_monitor;
static int monitor_pipe[2] = {-1, -1};
static struct udev_device *first_event, **last_event = &first_event;

static struct udev_device *new_device(const char *action, const struct device *device)
{
    struct udev_device *made = calloc(1, sizeof *made);
    snprintf(made->action, sizeof made->action, "%s", action);
    snprintf(made->name, sizeof made->name, "%s", device->name);
    snprintf(made->node, sizeof made->node, NODE_PREFIX "%03u/%03u", device->bus, device->address);
    return made;
}

/* With the lock held. */
void udev_report(const char *action, const struct device *device)
{
    struct udev_device *event;
    if (monitor_pipe[1] < 0)
        return;
    event = new_device(action, device);
    *last_event = event;
    last_event = &event->next;
    if (write(monitor_pipe[1], "", 1) < 0)
        perror("fake udev");
}

struct udev *udev_new(void)
{
    return bridge_start() ? &the_udev : NULL;
}

struct udev *udev_unref(struct udev *udev)
{
    (void)udev;
    bridge_stop();
    return NULL;
}

struct udev_monitor *udev_monitor_new_from_netlink(struct udev *udev, const char *name)
{
    (void)udev, (void)name;
    pthread_mutex_lock(&fake_lock);
    if (pipe2(monitor_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
        perror("fake udev");
    pthread_mutex_unlock(&fake_lock);
    return &the_monitor;
}

int udev_monitor_filter_add_match_subsystem_devtype(struct udev_monitor *monitor, const char *subsystem,
                                                    const char *devtype)
{
    (void)monitor, (void)subsystem, (void)devtype;
    return 0;
}

int udev_monitor_enable_receiving(struct udev_monitor *monitor)
{
    (void)monitor;
    return 0;
}

int udev_monitor_get_fd(struct udev_monitor *monitor)
{
    (void)monitor;
    return monitor_pipe[0];
}

struct udev_device *udev_monitor_receive_device(struct udev_monitor *monitor)
{
    struct udev_device *event;
    char byte;
    (void)monitor;
    pthread_mutex_lock(&fake_lock);
    event = first_event;
    if (event != NULL) {
        first_event = event->next;
        if (first_event == NULL)
            last_event = &first_event;
        if (read(monitor_pipe[0], &byte, 1) < 0)
            perror("fake udev");
    }
    pthread_mutex_unlock(&fake_lock);
    return event;
}

struct udev_monitor *udev_monitor_unref(struct udev_monitor *monitor)
{
    (void)monitor;
    pthread_mutex_lock(&fake_lock);
    close(monitor_pipe[0]);
    close(monitor_pipe[1]);
    monitor_pipe[0] = monitor_pipe[1] = -1;
    while (first_event != NULL) {
        struct udev_device *event = first_event;
        first_event = event->next;
        free(event);
    }
    last_event = &first_event;
    pthread_mutex_unlock(&fake_lock);
    return NULL;
}

struct udev_enumerate *udev_enumerate_new(struct udev *udev)
{
    (void)udev;
    return calloc(1, sizeof(struct udev_enumerate));
}

int udev_enumerate_add_match_subsystem(struct udev_enumerate *enumerate, const char *subsystem)
{
    (void)enumerate, (void)subsystem;
    return 0;
}

int udev_enumerate_add_match_property(struct udev_enumerate *enumerate, const char *property, const char *value)
{
    (void)enumerate, (void)property, (void)value;
    return 0;
}

int udev_enumerate_scan_devices(struct udev_enumerate *enumerate)
{
    struct udev_list_entry **end = &enumerate->entries;
    pthread_mutex_lock(&fake_lock);
    bridge_wait_listed();
    for (int i = 0; i < MAX_DEVICES; i++) {
        struct udev_list_entry *entry;
        if (!fake_devices[i].listed)
            continue;
        entry = calloc(1, sizeof *entry);
        snprintf(entry->name, sizeof entry->name, SYSFS_PREFIX "%s", fake_devices[i].name);
        *end = entry;
        end = &entry->next;
    }
    pthread_mutex_unlock(&fake_lock);
    return 0;
}

struct udev_list_entry *udev_enumerate_get_list_entry(struct udev_enumerate *enumerate)
{
    return enumerate->entries;
}

struct udev_enumerate *udev_enumerate_unref(struct udev_enumerate *enumerate)
{
    while (enumerate->entries != NULL) {
        struct udev_list_entry *entry = enumerate->entries;
        enumerate->entries = entry->next;
        free(entry);
    }
    free(enumerate);
    return NULL;
}

struct udev_list_entry *udev_list_entry_get_next(struct udev_list_entry *entry)
{
    return entry->next;
}

const char *udev_list_entry_get_name(struct udev_list_entry *entry)
{
    return entry->name;
}

struct udev_device *udev_device_new_from_syspath(struct udev *udev, const char *path)
{
    struct udev_device *made = NULL;
    (void)udev;
    pthread_mutex_lock(&fake_lock);
    for (int i = 0; i < MAX_DEVICES; i++)
        if (fake_devices[i].listed && strcmp(path + strlen(SYSFS_PREFIX), fake_devices[i].name) == 0)
            made = new_device("", &fake_devices[i]);
    pthread_mutex_unlock(&fake_lock);
    return made;
}

struct udev_device *udev_device_unref(struct udev_device *device)
{
    free(device);
    return NULL;
}

/* What is asked about a device that left between the list and the look at it has no answer: libudev gives NULL. */

const char *udev_device_get_action(struct udev_device *device)
{
    return device == NULL ? NULL : device->action;
}

const char *udev_device_get_devnode(struct udev_device *device)
{
    return device == NULL ? NULL : device->node;
}

const char *udev_device_get_sysname(struct udev_device *device)
{
    return device == NULL ? NULL : device->name;
}
