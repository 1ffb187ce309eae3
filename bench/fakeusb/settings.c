/*
 * What the environment asks for:
 *
 *   FAKEUSB_RATE      bytes per second of each direction; 0 (without it): no limit
 *   FAKEUSB_SHARED    1: both directions share that rate, and the phone is one of high speed (packets of 512 bytes)
 *   FAKEUSB_INTERRUPT least nanoseconds between two deliveries of completions
 *   FAKEUSB_SEGMENT   payload of the phone's packets          FAKEUSB_WINDOW   what it takes before it is acknowledged
 *   FAKEUSB_PHONES    how many there are                      FAKEUSB_PLUGGED  0: not at the start
 *   FAKEUSB_OMIT      1: no empty packet after multiples of 16384
 *   FAKEUSB_CHECK     1: all that the phone gets is compared, not samples
 *   FAKEUSB_CONTROL   path of the socket of control.c
 */

#include "fake.h"

#include <stdlib.h>

#define MAX_SUPER 500000000 /* bytes per second of 5 Gbit/s, whose coding takes a fifth */

struct settings settings;

static long number(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? atol(text) : otherwise;
}

void settings_read(void)
{
    long rate = number("FAKEUSB_RATE", 0);
    settings.in_ns_per_byte = settings.out_ns_per_byte = rate > 0 ? 1e9 / (double)rate : 0;
    settings.is_shared = number("FAKEUSB_SHARED", 0) != 0;
    int is_super = rate > 0 && rate <= MAX_SUPER;
    settings.speed = settings.is_shared ? LIBUSB_SPEED_HIGH : is_super ? LIBUSB_SPEED_SUPER : LIBUSB_SPEED_SUPER_PLUS;
    settings.max_packet = settings.is_shared ? 512 : 1024;
    settings.moderation_ns = (uint64_t)number("FAKEUSB_INTERRUPT", 0);
    settings.segment = (uint32_t)number("FAKEUSB_SEGMENT", 16384);
    settings.window = (uint32_t)number("FAKEUSB_WINDOW", 131072);
    settings.phones = (int)number("FAKEUSB_PHONES", 1);
    settings.is_plugged = number("FAKEUSB_PLUGGED", 1) != 0;
    settings.omits_empty = number("FAKEUSB_OMIT", 0) != 0;
    settings.is_checked_fully = number("FAKEUSB_CHECK", 0) != 0;
    settings.control = getenv("FAKEUSB_CONTROL");
    if (settings.phones > MAX_PHONES || settings.segment + 36 > MAX_PACKET)
        violate("too many phones, or too long packets");
}
