/* A preloaded stand-in for usbfs, sysfs and udev: the real libusb in the process sees devices that another process
 * invents. It decides nothing: what a transfer or an ioctl brings is asked over a Unix socket (see host.py). */

#ifndef FAKE_H
#define FAKE_H

#include <linux/usbdevice_fs.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MAX_DEVICES 32
#define MAX_DESCRIPTORS 4096
#define SYSFS_PREFIX "/sys/bus/usb/devices/"
#define NODE_PREFIX "/dev/bus/usb/"

/* Numbers of the frames; the same as in host.py. */
enum frame_type {
    FRAME_OPENED = 1,
    FRAME_CLOSED = 2,
    FRAME_SUBMITTED = 3,
    FRAME_DISCARDED = 4,
    FRAME_CALLED = 5,
    FRAME_ATTACH = 16,
    FRAME_DISCONNECT = 17,
    FRAME_REMOVE = 18,
    FRAME_LISTED = 19,
    FRAME_COMPLETE = 20,
    FRAME_REPLY = 21,
    FRAME_CONFIGURED = 22,
    FRAME_FAIL_OPEN = 23,
    FRAME_FAIL_SUBMIT = 24,
};

/* The ioctls that are asked about; the same as in device.py. */
enum call {
    CALL_CLAIM = 1,
    CALL_RELEASE = 2,
    CALL_SET_CONFIGURATION = 3,
    CALL_SET_INTERFACE = 4,
    CALL_CLEAR_HALT = 5,
    CALL_GET_DRIVER = 6,
    CALL_DISCONNECT_DRIVER = 7,
    CALL_RESET = 8,
};

struct frame {
    uint32_t length; /* of the payload */
    uint8_t type;
    uint8_t detail;
    uint16_t device;
    uint32_t tag;
    int32_t value;
};

struct device {
    bool listed;    /* udev and sysfs know it */
    bool connected; /* usbfs works */
    uint16_t id;
    uint8_t bus;
    uint8_t address;
    uint8_t configuration;
    uint32_t speed; /* Mbit/s; 1 stands for 1.5 */
    uint32_t capabilities;
    int open_error;
    int submit_error;
    char name[64];
    size_t descriptors_length;
    uint8_t descriptors[MAX_DESCRIPTORS];
};

/* Everything below is guarded by this. */
extern pthread_mutex_t fake_lock;
extern struct device fake_devices[MAX_DEVICES];

/* bridge.c: the socket. */
bool bridge_start(void);
void bridge_stop(void);
void bridge_send(struct frame frame, const void *payload);
int bridge_call(uint16_t device, enum call call, int32_t value, char *text, size_t text_size);
bool bridge_wait_listed(void);

/* usbfs.c: device nodes. */
void usbfs_complete(uint32_t tag, int status, uint32_t actual_length, const uint8_t *data, size_t length);
void usbfs_disconnect(struct device *device);

/* udev.c: comings and goings. */
void udev_report(const char *action, const struct device *device);

#endif
