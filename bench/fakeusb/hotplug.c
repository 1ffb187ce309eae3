/* libusb's functions: comings and goings. */

#include "fake.h"

#include <string.h>

static uint8_t last_address;
static int last_id;

static void announce(const struct phone *phone, int event)
{
    for (libusb_context *context = contexts; context != NULL; context = context->next) {
        const struct hotplug *hotplug = &context->hotplug;
        if (hotplug->id == 0 || !(hotplug->events & event) || context->change_count == MAX_CHANGES)
            continue;
        if (hotplug->vendor != LIBUSB_HOTPLUG_MATCH_ANY && hotplug->vendor != VENDOR)
            continue;
        context->changes[context->change_count].device = device_of(context, phone);
        context->changes[context->change_count++].event = event;
        context_arm(context);
    }
}

void phone_plug(struct phone *phone)
{
    if (phone->address != 0)
        return;
    phone->address = last_address = last_address % 127 + 1;
    phone->clock_ns = now_ns();
    phone_reset(phone);
    announce(phone, LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED);
}

void phone_unplug(struct phone *phone)
{
    libusb_context *owner = phone->owner;
    if (phone->address == 0)
        return;
    link_clear(phone);
    phone_reset(phone);
    announce(phone, LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT);
    phone->address = 0;
    phone->owner = NULL;
    if (owner != NULL)
        context_arm(owner);
}

/* Tells of what has come and gone; without the lock. */
void changes_deliver(libusb_context *context)
{
    while (context->change_count > 0) {
        pthread_mutex_lock(&fake_lock);
        struct hotplug hotplug = context->hotplug;
        libusb_device *device = context->changes[0].device;
        int event = context->changes[0].event;
        context->change_count--;
        memmove(context->changes, context->changes + 1, (size_t)context->change_count * sizeof context->changes[0]);
        pthread_mutex_unlock(&fake_lock);
        if (hotplug.id != 0 && hotplug.callback(context, device, event, hotplug.user_data) != 0)
            context->hotplug.id = 0;
        libusb_unref_device(device);
    }
}

int libusb_hotplug_register_callback(libusb_context *context, int events, int flags, int vendor, int product,
    int device_class, libusb_hotplug_callback_fn callback, void *user_data, int *id)
{
    (void)product;
    (void)device_class;
    context = context_or_default(context);
    if (context->hotplug.id != 0)
        return LIBUSB_ERROR_NOT_SUPPORTED;
    pthread_mutex_lock(&fake_lock);
    context->hotplug = (struct hotplug){++last_id, events, vendor, callback, user_data};
    if (id != NULL)
        *id = last_id;
    libusb_device *present[MAX_PHONES];
    int count = 0;
    for (int i = 0; i < settings.phones && (flags & LIBUSB_HOTPLUG_ENUMERATE); i++)
        if (phones[i].address != 0)
            present[count++] = device_of(context, &phones[i]);
    pthread_mutex_unlock(&fake_lock);
    for (int i = 0; i < count; i++) {
        callback(context, present[i], LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED, user_data);
        libusb_unref_device(present[i]);
    }
    return LIBUSB_SUCCESS;
}

void libusb_hotplug_deregister_callback(libusb_context *context, int id)
{
    context = context_or_default(context);
    pthread_mutex_lock(&fake_lock);
    if (context->hotplug.id == id)
        context->hotplug.id = 0;
    pthread_mutex_unlock(&fake_lock);
}
