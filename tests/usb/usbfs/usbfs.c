/* Device nodes and sysfs attributes: what libusb opens, polls and calls ioctl on.
 *
 * An opened node is the writing end of a one-page pipe. Full, it is not writable: no transfer has ended. Empty, it is
 * writable: reap something. With its reading end closed it reports an error: the device is gone. That is just what
 * poll() says of a real node. */

#define _GNU_SOURCE
#include "fake.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MAX_FILES 1024
#define PAGE 4096

struct transfer {
    struct transfer *next;
    uint32_t tag;
    struct usbdevfs_urb *urb;
};

struct file {
    struct device *device;
    int reading_end;
    struct transfer *pending;
    struct transfer *done;
};

static struct file *files[MAX_FILES];
static uint32_t tags;

static int real_close(int fd)
{
    static int (*function)(int);
    if (function == NULL)
        function = (int (*)(int))dlsym(RTLD_NEXT, "close");
    return function(fd);
}

static struct transfer **find(struct transfer **list, uint32_t tag, const void *urb)
{
    while (*list != NULL && (*list)->tag != tag && (*list)->urb != urb)
        list = &(*list)->next;
    return list;
}

static void set_ready(int fd, struct file *file, bool ready)
{
    static char page[PAGE];
    if (file->reading_end < 0)
        return;
    if ((ready ? read(file->reading_end, page, PAGE) : write(fd, page, PAGE)) < 0)
        perror("fake usbfs");
}

static void move_to_done(int fd, struct file *file, struct transfer **place)
{
    struct transfer *transfer = *place, **end = &file->done;
    if (file->done == NULL)
        set_ready(fd, file, true);
    *place = transfer->next;
    transfer->next = NULL;
    while (*end != NULL)
        end = &(*end)->next;
    *end = transfer;
}

/* With the lock held. */
void usbfs_complete(uint32_t tag, int status, uint32_t actual_length, const uint8_t *data, size_t length)
{
    for (int fd = 0; fd < MAX_FILES; fd++) {
        struct transfer **place;
        struct usbdevfs_urb *urb;
        size_t offset;
        if (files[fd] == NULL || *(place = find(&files[fd]->pending, tag, NULL)) == NULL)
            continue;
        urb = (*place)->urb;
        offset = urb->type == USBDEVFS_URB_TYPE_CONTROL ? 8 : 0;
        if (length > 0 && offset + length <= (size_t)urb->buffer_length)
            memcpy((uint8_t *)urb->buffer + offset, data, length);
        urb->status = status;
        urb->actual_length = (int)actual_length;
        move_to_done(fd, files[fd], place);
        return;
    }
}

/* With the lock held. */
void usbfs_disconnect(struct device *device)
{
    for (int fd = 0; fd < MAX_FILES; fd++) {
        struct file *file = files[fd];
        if (file == NULL || file->device != device || file->reading_end < 0)
            continue;
        while (file->pending != NULL) {
            file->pending->urb->status = -ESHUTDOWN;
            file->pending->urb->actual_length = 0;
            move_to_done(fd, file, &file->pending);
        }
        real_close(file->reading_end);
        file->reading_end = -1;
    }
}

static int open_node(const char *path)
{
    unsigned bus, address;
    struct device *device = NULL;
    struct file *file;
    int ends[2];
    if (sscanf(path, NODE_PREFIX "%u/%u", &bus, &address) != 2)
        return errno = ENOENT, -1;
    for (int i = 0; i < MAX_DEVICES; i++)
        if (fake_devices[i].connected && fake_devices[i].bus == bus && fake_devices[i].address == address)
            device = &fake_devices[i];
    if (device == NULL)
        return errno = ENOENT, -1;
    if (device->open_error != 0)
        return errno = device->open_error, -1;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0 || ends[1] >= MAX_FILES)
        return -1;
    fcntl(ends[1], F_SETPIPE_SZ, PAGE);
    file = calloc(1, sizeof *file);
    file->device = device;
    file->reading_end = ends[0];
    set_ready(ends[1], file, false);
    files[ends[1]] = file;
    bridge_send((struct frame){.type = FRAME_OPENED, .device = device->id}, NULL);
    return ends[1];
}

static int open_attribute(const char *path)
{
    const char *name = path + strlen(SYSFS_PREFIX), *attribute = strchr(name, '/');
    for (int i = 0; attribute != NULL && i < MAX_DEVICES; i++) {
        struct device *device = &fake_devices[i];
        char text[32] = "";
        int fd;
        if (!device->listed || strncmp(name, device->name, (size_t)(attribute - name)) != 0
            || device->name[attribute - name] != '\0')
            continue;
        if (strcmp(attribute, "/busnum") == 0)
            snprintf(text, sizeof text, "%u\n", device->bus);
        else if (strcmp(attribute, "/devnum") == 0)
            snprintf(text, sizeof text, "%u\n", device->address);
        else if (strcmp(attribute, "/speed") == 0)
            snprintf(text, sizeof text, device->speed == 1 ? "1.5\n" : "%u\n", device->speed);
        else if (strcmp(attribute, "/bConfigurationValue") == 0 && device->configuration != 0)
            snprintf(text, sizeof text, "%u\n", device->configuration);
        fd = memfd_create("attribute", MFD_CLOEXEC);
        if (strcmp(attribute, "/descriptors") == 0) {
            if (write(fd, device->descriptors, device->descriptors_length) < 0)
                perror("fake sysfs");
        } else if (write(fd, text, strlen(text)) < 0) {
            perror("fake sysfs");
        }
        lseek(fd, 0, SEEK_SET);
        return fd;
    }
    return errno = ENOENT, -1;
}

static int submit(int fd, struct file *file, struct usbdevfs_urb *urb)
{
    struct device *device = file->device;
    struct transfer *transfer, **end = &file->pending;
    bool is_out = !(urb->endpoint & 0x80);
    struct frame frame = {.type = FRAME_SUBMITTED, .device = device->id, .detail = urb->endpoint};
    uint32_t carried = (uint32_t)urb->buffer_length;
    uint8_t *payload;
    (void)fd;
    if (!device->connected)
        return ENODEV;
    if (device->submit_error != 0)
        return device->submit_error;
    if (urb->type == USBDEVFS_URB_TYPE_CONTROL)
        carried = ((uint8_t *)urb->buffer)[0] & 0x80 ? 8 : carried;
    else if (!is_out)
        carried = 0;
    transfer = calloc(1, sizeof *transfer);
    transfer->tag = frame.tag = ++tags;
    transfer->urb = urb;
    while (*end != NULL)
        end = &(*end)->next;
    *end = transfer;
    frame.value = urb->buffer_length;
    frame.length = 2 + carried;
    payload = malloc(frame.length);
    payload[0] = urb->type;
    payload[1] = (uint8_t)urb->flags;
    memcpy(payload + 2, urb->buffer, carried);
    bridge_send(frame, payload);
    free(payload);
    return 0;
}

static int reap(int fd, struct file *file, void **urb)
{
    struct transfer *transfer = file->done;
    if (transfer == NULL)
        return file->device->connected ? EAGAIN : ENODEV;
    file->done = transfer->next;
    if (file->done == NULL)
        set_ready(fd, file, false);
    *urb = transfer->urb;
    free(transfer);
    return 0;
}

static int discard(struct file *file, const struct usbdevfs_urb *urb)
{
    struct transfer *transfer = *find(&file->pending, 0, urb);
    if (transfer == NULL)
        return file->device->connected ? EINVAL : ENODEV;
    bridge_send((struct frame){.type = FRAME_DISCARDED, .device = file->device->id, .tag = transfer->tag}, NULL);
    return 0;
}

static int call(int fd, struct file *file, unsigned long request, void *argument)
{
    uint16_t id = file->device->id;
    struct usbdevfs_getdriver *driver = argument;
    struct usbdevfs_ioctl *command = argument;
    struct usbdevfs_setinterface *setting = argument;
    switch (request) {
    case USBDEVFS_SUBMITURB:
        return submit(fd, file, argument);
    case USBDEVFS_REAPURBNDELAY:
        return reap(fd, file, argument);
    case USBDEVFS_DISCARDURB:
        return discard(file, argument);
    case USBDEVFS_GET_CAPABILITIES:
        *(uint32_t *)argument = file->device->capabilities;
        return 0;
    }
    if (!file->device->connected)
        return ENODEV;
    switch (request) {
    case USBDEVFS_CLAIMINTERFACE:
        return bridge_call(id, CALL_CLAIM, *(int *)argument, NULL, 0);
    case USBDEVFS_RELEASEINTERFACE:
        return bridge_call(id, CALL_RELEASE, *(int *)argument, NULL, 0);
    case USBDEVFS_SETCONFIGURATION:
        return bridge_call(id, CALL_SET_CONFIGURATION, *(int *)argument, NULL, 0);
    case USBDEVFS_SETINTERFACE:
        return bridge_call(id, CALL_SET_INTERFACE, (int)(setting->interface << 8 | setting->altsetting), NULL, 0);
    case USBDEVFS_CLEAR_HALT:
        return bridge_call(id, CALL_CLEAR_HALT, *(int *)argument, NULL, 0);
    case USBDEVFS_GETDRIVER:
        return bridge_call(id, CALL_GET_DRIVER, (int)driver->interface, driver->driver, sizeof driver->driver);
    case USBDEVFS_RESET:
        return bridge_call(id, CALL_RESET, 0, NULL, 0);
    case USBDEVFS_IOCTL:
        if (command->ioctl_code == USBDEVFS_DISCONNECT)
            return bridge_call(id, CALL_DISCONNECT_DRIVER, command->ifno, NULL, 0);
        return ENOTTY;
    default:
        return ENOTTY;
    }
}

int ioctl(int fd, unsigned long request, ...)
{
    static int (*real)(int, unsigned long, void *);
    va_list arguments;
    void *argument;
    int error;
    va_start(arguments, request);
    argument = va_arg(arguments, void *);
    va_end(arguments);
    if (real == NULL)
        real = (int (*)(int, unsigned long, void *))dlsym(RTLD_NEXT, "ioctl");
    if (fd < 0 || fd >= MAX_FILES || files[fd] == NULL)
        return real(fd, request, argument);
    pthread_mutex_lock(&fake_lock);
    error = call(fd, files[fd], request, argument);
    pthread_mutex_unlock(&fake_lock);
    return error == 0 ? 0 : (errno = error, -1);
}

static int open_path(const char *path, int flags, mode_t mode)
{
    static int (*real)(const char *, int, ...);
    bool is_node = strncmp(path, NODE_PREFIX, strlen(NODE_PREFIX)) == 0;
    int fd;
    if (real == NULL)
        real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
    if (!is_node && strncmp(path, SYSFS_PREFIX, strlen(SYSFS_PREFIX)) != 0)
        return real(path, flags, mode);
    pthread_mutex_lock(&fake_lock);
    fd = is_node ? open_node(path) : open_attribute(path);
    pthread_mutex_unlock(&fake_lock);
    return fd;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    mode_t mode = 0;
    va_start(arguments, flags);
    if (flags & (O_CREAT | O_TMPFILE))
        mode = va_arg(arguments, mode_t);
    va_end(arguments);
    return open_path(path, flags, mode);
}

int __open_2(const char *path, int flags)
{
    return open_path(path, flags, 0);
}

int close(int fd)
{
    if (fd >= 0 && fd < MAX_FILES && files[fd] != NULL) {
        pthread_mutex_lock(&fake_lock);
        struct file *file = files[fd];
        struct transfer *lists[] = {file->pending, file->done};
        files[fd] = NULL;
        for (int i = 0; i < 2; i++)
            while (lists[i] != NULL) {
                struct transfer *transfer = lists[i];
                lists[i] = transfer->next;
                free(transfer);
            }
        if (file->reading_end >= 0)
            real_close(file->reading_end);
        bridge_send((struct frame){.type = FRAME_CLOSED, .device = file->device->id}, NULL);
        free(file);
        pthread_mutex_unlock(&fake_lock);
    }
    return real_close(fd);
}

int statfs(const char *path, struct statfs *buffer)
{
    static int (*real)(const char *, struct statfs *);
    int result;
    if (real == NULL)
        real = (int (*)(const char *, struct statfs *))dlsym(RTLD_NEXT, "statfs");
    result = real(path, buffer);
    if (strcmp(path, "/sys") == 0) {
        buffer->f_type = SYSFS_MAGIC;
        return 0;
    }
    return result;
}

int access(const char *path, int mode)
{
    static int (*real)(const char *, int);
    if (real == NULL)
        real = (int (*)(const char *, int))dlsym(RTLD_NEXT, "access");
    if (strcmp(path, "/run/udev/control") == 0)
        return getenv("FAKE_USBFS_WITHOUT_UDEV") == NULL ? 0 : (errno = ENOENT, -1);
    return real(path, mode);
}
