/* libusb's functions that have one answer. Both daemons, or the binding of one, look for all of them. */

#include "fake.h"

#include <poll.h>
#include <stdlib.h>

const struct libusb_version *libusb_get_version(void)
{
    static const struct libusb_version version = {1, 0, 26, 11724, "", "fakeusb"};
    return &version;
}

int libusb_has_capability(uint32_t capability)
{
    return capability == LIBUSB_CAP_HAS_CAPABILITY || capability == LIBUSB_CAP_HAS_HOTPLUG;
}

const char *libusb_error_name(int code)
{
    return code == 0 ? "LIBUSB_SUCCESS" : "LIBUSB_ERROR of fakeusb";
}

const char *libusb_strerror(int code)
{
    return libusb_error_name(code);
}

const struct libusb_pollfd **libusb_get_pollfds(libusb_context *context)
{
    context = context_or_default(context);
    struct {
        const struct libusb_pollfd *list[3];
        struct libusb_pollfd event, timer;
    } *made = calloc(1, sizeof *made);
    made->event = (struct libusb_pollfd){context->event, POLLIN};
    made->timer = (struct libusb_pollfd){context->timer, POLLIN};
    made->list[0] = &made->event;
    made->list[1] = &made->timer;
    return made->list;
}

void libusb_free_pollfds(const struct libusb_pollfd **list)
{
    free(list);
}

void libusb_interrupt_event_handler(libusb_context *context)
{
    context = context_or_default(context);
    pthread_mutex_lock(&fake_lock);
    context->is_interrupted = true;
    context_arm(context);
    pthread_mutex_unlock(&fake_lock);
}

uint8_t libusb_get_bus_number(libusb_device *device)
{
    (void)device;
    return 1;
}

int libusb_get_device_speed(libusb_device *device)
{
    (void)device;
    return settings.speed;
}

int libusb_get_max_packet_size(libusb_device *device, unsigned char endpoint)
{
    (void)device;
    (void)endpoint;
    return (int)settings.max_packet;
}

#define ANSWER(name, value) \
    int name(void) \
    { \
        return value; \
    }

#define NOTHING(name) \
    void name(void) \
    { \
    }

#define NO_OBJECT(name) \
    void *name(void) \
    { \
        return NULL; \
    }

ANSWER(libusb_set_option, LIBUSB_SUCCESS)
ANSWER(libusb_get_next_timeout, 0)
ANSWER(libusb_pollfds_handle_timeouts, 1)
ANSWER(libusb_kernel_driver_active, 0)
ANSWER(libusb_detach_kernel_driver, LIBUSB_ERROR_NOT_FOUND)
ANSWER(libusb_attach_kernel_driver, LIBUSB_ERROR_NOT_FOUND)
ANSWER(libusb_set_auto_detach_kernel_driver, LIBUSB_SUCCESS)
ANSWER(libusb_set_interface_alt_setting, LIBUSB_SUCCESS)
ANSWER(libusb_clear_halt, LIBUSB_SUCCESS)
ANSWER(libusb_reset_device, LIBUSB_SUCCESS)
ANSWER(libusb_bulk_transfer, LIBUSB_ERROR_NOT_SUPPORTED)
ANSWER(libusb_interrupt_transfer, LIBUSB_ERROR_NOT_SUPPORTED)
ANSWER(libusb_get_string_descriptor_ascii, LIBUSB_ERROR_NOT_SUPPORTED)
ANSWER(libusb_handle_events_locked, LIBUSB_ERROR_NOT_SUPPORTED)
ANSWER(libusb_wait_for_event, LIBUSB_ERROR_NOT_SUPPORTED)
ANSWER(libusb_try_lock_events, 0)
ANSWER(libusb_event_handling_ok, 1)
ANSWER(libusb_event_handler_active, 0)
NOTHING(libusb_set_debug)
NOTHING(libusb_set_log_cb)
NOTHING(libusb_set_pollfd_notifiers)
NOTHING(libusb_free_config_descriptor)
NOTHING(libusb_lock_events)
NOTHING(libusb_unlock_events)
NOTHING(libusb_lock_event_waiters)
NOTHING(libusb_unlock_event_waiters)
NO_OBJECT(libusb_open_device_with_vid_pid)
NO_OBJECT(libusb_get_parent)
NO_OBJECT(libusb_dev_mem_alloc)
