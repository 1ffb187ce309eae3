/* The bytes of every stream: what stands at an offset is known to both ends. */

#ifndef FAKEUSB_PATTERN_H
#define FAKEUSB_PATTERN_H

#include <stdint.h>

#define PATTERN_PERIOD 65521u /* a prime, so that no packet size repeats it */
#define PATTERN_REACH 262144u /* from any offset, so many bytes stand in one piece */

static uint8_t pattern_bytes[PATTERN_PERIOD + PATTERN_REACH];

static inline void pattern_make(uint32_t reach)
{
    uint32_t state = 2463534242u;
    for (uint32_t i = 0; i < PATTERN_PERIOD; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        pattern_bytes[i] = (uint8_t)state;
    }
    for (uint32_t i = PATTERN_PERIOD; i < PATTERN_PERIOD + reach; i++)
        pattern_bytes[i] = pattern_bytes[i - PATTERN_PERIOD];
}

static inline const uint8_t *pattern_at(uint64_t offset)
{
    return pattern_bytes + offset % PATTERN_PERIOD;
}

#endif
