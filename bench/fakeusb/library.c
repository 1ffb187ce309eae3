/* libusb's functions: contexts, devices, handles. */

#define _GNU_SOURCE
#include "fake.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define PRODUCT 0x12a8
#define CONFIGURATIONS 4
#define FIRST_WITH_MUX 3

pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;
struct counters counters;
struct phone phones[MAX_PHONES];
libusb_context *contexts;

static libusb_context *default_context;
static bool is_started;
static struct libusb_endpoint_descriptor endpoints[] = {
    {.bLength = 7, .bDescriptorType = 5, .bEndpointAddress = ENDPOINT_OUT, .bmAttributes = 2},
    {.bLength = 7, .bDescriptorType = 5, .bEndpointAddress = ENDPOINT_IN, .bmAttributes = 2},
};
static const struct libusb_interface_descriptor pictures[] = {{9, 4, 0, 0, 0, 6, 1, 1, 0, NULL, NULL, 0}};
static const struct libusb_interface_descriptor mux[] = {{9, 4, 1, 0, 2, 255, 254, 2, 0, endpoints, NULL, 0}};
static const struct libusb_interface interfaces[] = {{pictures, 1}, {mux, 1}};
static struct libusb_config_descriptor configurations[CONFIGURATIONS];

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void violate(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("fakeusb: violation: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    abort();
}

libusb_context *context_or_default(libusb_context *context)
{
    return context != NULL ? context : default_context;
}

static void start(void)
{
    is_started = true;
    settings_read();
    for (int i = 0; i < 2; i++)
        endpoints[i].wMaxPacketSize = (uint16_t)settings.max_packet;
    for (int i = 0; i < CONFIGURATIONS; i++)
        configurations[i] = (struct libusb_config_descriptor){
            .bLength = 9,
            .bDescriptorType = 2,
            .bNumInterfaces = i + 1 < FIRST_WITH_MUX ? 1 : 2,
            .bConfigurationValue = (uint8_t)(i + 1),
            .interface = interfaces,
        };
    for (int i = 0; i < settings.phones; i++) {
        phones[i].number = i;
        phones[i].configuration = CONFIGURATIONS;
        if (settings.is_plugged)
            phone_plug(&phones[i]);
    }
    if (settings.control != NULL)
        control_start();
}

int libusb_init_context(libusb_context **context, const void *options, int option_count)
{
    (void)options;
    (void)option_count;
    pthread_mutex_lock(&fake_lock);
    if (!is_started)
        start();
    libusb_context *made = calloc(1, sizeof *made);
    made->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    made->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    made->next = contexts;
    contexts = made;
    if (context != NULL)
        *context = made;
    else
        default_context = made;
    pthread_mutex_unlock(&fake_lock);
    return LIBUSB_SUCCESS;
}

int libusb_init(libusb_context **context)
{
    return libusb_init_context(context, NULL, 0);
}

void libusb_exit(libusb_context *context)
{
    context = context_or_default(context);
    pthread_mutex_lock(&fake_lock);
    for (libusb_context **each = &contexts; *each != NULL; each = &(*each)->next)
        if (*each == context) {
            *each = context->next;
            break;
        }
    pthread_mutex_unlock(&fake_lock);
    close(context->event);
    close(context->timer);
    free(context);
}

struct phone *phone_of(const libusb_device *device)
{
    struct phone *phone = &phones[device->number];
    return phone->address == device->address ? phone : NULL;
}

libusb_device *device_of(libusb_context *context, const struct phone *phone)
{
    libusb_device *device = calloc(1, sizeof *device);
    device->context = context;
    device->references = 1;
    device->number = phone->number;
    device->address = phone->address;
    return device;
}

libusb_device *libusb_ref_device(libusb_device *device)
{
    pthread_mutex_lock(&fake_lock);
    device->references++;
    pthread_mutex_unlock(&fake_lock);
    return device;
}

void libusb_unref_device(libusb_device *device)
{
    pthread_mutex_lock(&fake_lock);
    if (--device->references == 0)
        free(device);
    pthread_mutex_unlock(&fake_lock);
}

ssize_t libusb_get_device_list(libusb_context *context, libusb_device ***list)
{
    context = context_or_default(context);
    ssize_t count = 0;
    *list = calloc(MAX_PHONES + 1, sizeof **list);
    pthread_mutex_lock(&fake_lock);
    for (int i = 0; i < settings.phones; i++)
        if (phones[i].address != 0)
            (*list)[count++] = device_of(context, &phones[i]);
    pthread_mutex_unlock(&fake_lock);
    return count;
}

void libusb_free_device_list(libusb_device **list, int is_unref)
{
    for (libusb_device **each = list; is_unref && *each != NULL; each++)
        libusb_unref_device(*each);
    free(list);
}

int libusb_get_device_descriptor(libusb_device *device, struct libusb_device_descriptor *descriptor)
{
    (void)device;
    *descriptor = (struct libusb_device_descriptor){
        .bLength = 18,
        .bDescriptorType = 1,
        .bcdUSB = 0x0200,
        .bMaxPacketSize0 = 64,
        .idVendor = VENDOR,
        .idProduct = PRODUCT,
        .iSerialNumber = 3,
        .bNumConfigurations = CONFIGURATIONS,
    };
    return LIBUSB_SUCCESS;
}

int libusb_get_config_descriptor(libusb_device *device, uint8_t index, struct libusb_config_descriptor **descriptor)
{
    (void)device;
    if (index >= CONFIGURATIONS)
        return LIBUSB_ERROR_NOT_FOUND;
    *descriptor = &configurations[index];
    return LIBUSB_SUCCESS;
}

int libusb_get_config_descriptor_by_value(
    libusb_device *device, uint8_t value, struct libusb_config_descriptor **descriptor)
{
    return libusb_get_config_descriptor(device, (uint8_t)(value - 1), descriptor);
}

int libusb_get_active_config_descriptor(libusb_device *device, struct libusb_config_descriptor **descriptor)
{
    return libusb_get_config_descriptor_by_value(device, (uint8_t)phones[device->number].configuration, descriptor);
}

uint8_t libusb_get_port_number(libusb_device *device)
{
    return (uint8_t)(device->number + 1);
}

int libusb_get_port_numbers(libusb_device *device, uint8_t *numbers, int length)
{
    if (length < 1)
        return LIBUSB_ERROR_INVALID_PARAM;
    numbers[0] = libusb_get_port_number(device);
    return 1;
}

uint8_t libusb_get_device_address(libusb_device *device)
{
    return device->address;
}

int libusb_open(libusb_device *device, libusb_device_handle **handle)
{
    *handle = NULL;
    if (phone_of(device) == NULL)
        return LIBUSB_ERROR_NO_DEVICE;
    *handle = calloc(1, sizeof **handle);
    (*handle)->device = libusb_ref_device(device);
    return LIBUSB_SUCCESS;
}

libusb_device *libusb_get_device(libusb_device_handle *handle)
{
    return handle->device;
}

int libusb_get_configuration(libusb_device_handle *handle, int *configuration)
{
    if (phone_of(handle->device) == NULL)
        return LIBUSB_ERROR_NO_DEVICE;
    *configuration = phone_of(handle->device)->configuration;
    return LIBUSB_SUCCESS;
}

int libusb_set_configuration(libusb_device_handle *handle, int configuration)
{
    if (phone_of(handle->device) == NULL)
        return LIBUSB_ERROR_NO_DEVICE;
    phone_of(handle->device)->configuration = configuration;
    return LIBUSB_SUCCESS;
}

int libusb_claim_interface(libusb_device_handle *handle, int interface)
{
    int result = LIBUSB_SUCCESS;
    pthread_mutex_lock(&fake_lock);
    struct phone *phone = phone_of(handle->device);
    if (phone == NULL)
        result = LIBUSB_ERROR_NO_DEVICE;
    else if (interface != mux[0].bInterfaceNumber)
        result = LIBUSB_ERROR_NOT_FOUND;
    else if (phone->owner != NULL)
        result = LIBUSB_ERROR_BUSY;
    if (result == LIBUSB_SUCCESS) {
        phone->owner = handle->device->context;
        handle->has_claimed = true;
    }
    pthread_mutex_unlock(&fake_lock);
    return result;
}

int libusb_release_interface(libusb_device_handle *handle, int interface)
{
    (void)interface;
    pthread_mutex_lock(&fake_lock);
    struct phone *phone = phone_of(handle->device);
    if (handle->has_claimed && phone != NULL)
        phone->owner = NULL;
    handle->has_claimed = false;
    pthread_mutex_unlock(&fake_lock);
    return LIBUSB_SUCCESS;
}

void libusb_close(libusb_device_handle *handle)
{
    libusb_release_interface(handle, 1);
    libusb_unref_device(handle->device);
    free(handle);
}
