/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <time.h>

static void put(struct text *t, char c)
{
    if (t->at < t->end)
        *t->at++ = c;
}

void text_str(struct text *t, const char *s)
{
    while (*s)
        put(t, *s++);
}

void text_pad(struct text *t, uint64_t n, int width)
{
    char digits[20];
    int len = 0;

    do {
        digits[len++] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    for (; width > len; width--)
        put(t, '0');
    while (len)
        put(t, digits[--len]);
}

void text_num(struct text *t, uint64_t n)
{
    text_pad(t, n, 1);
}

static const char hex[] = "0123456789abcdef";

static void put_hex(struct text *t, uint8_t byte)
{
    if (t->end - t->at >= 4) {
        put(t, '\\');
        put(t, 'x');
        put(t, hex[byte >> 4]);
        put(t, hex[byte & 15]);
    }
}

void text_escaped(struct text *t, const uint8_t *s, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++)
        if (s[i] < 0x20 || s[i] == 0x7f)
            put_hex(t, s[i]);
        else
            put(t, (char)s[i]);
}

void text_quoted(struct text *t, const uint8_t *s, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++)
        if (s[i] < 0x20 || s[i] >= 0x7f || s[i] == '"' || s[i] == '\\')
            put_hex(t, s[i]);
        else
            put(t, (char)s[i]);
}

/* The character that `s` begins with, and its length in *size; -1 where that is
 * no UTF-8 (RFC 3629 section 4: no overlong forms, no surrogates). */
static int32_t character(const uint8_t *s, size_t len, unsigned *size)
{
    static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned n = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4, i;
    int32_t c = n == 1 ? s[0] : s[0] & (0xff >> (n + 1));

    if (n == 0 || n > len || s[0] >= 0xf8)
        return -1;
    for (i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return -1;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return -1;
    *size = n;
    return c;
}

static void put_unit(struct text *t, uint32_t unit)
{
    int shift;

    put(t, '\\');
    put(t, 'u');
    for (shift = 12; shift >= 0; shift -= 4)
        put(t, hex[unit >> shift & 15]);
}

void text_json(struct text *t, const uint8_t *s, size_t len)
{
    size_t i;
    unsigned size = 1;

    /* An escape is written as a whole or not at all: "\\xHH" takes 5, two units 12. */
    for (i = 0; i < len; i += size) {
        int32_t c = character(s + i, len - i, &size);

        if (c >= 0x20 && c < 0x7f && t->end - t->at >= 2) {
            if (c == '"' || c == '\\')
                put(t, '\\');
            put(t, (char)c);
        } else if (c < 0 && t->end - t->at >= 5) {
            put(t, '\\');
            put_hex(t, s[i]);
            size = 1;
        } else if (c >= 0x10000 && t->end - t->at >= 12) {
            put_unit(t, 0xd800 + ((uint32_t)(c - 0x10000) >> 10));
            put_unit(t, 0xdc00 + ((uint32_t)c & 0x3ff));
        } else if (c >= 0 && c < 0x10000 && (c < 0x20 || c >= 0x7f) && t->end - t->at >= 6) {
            put_unit(t, (uint32_t)c);
        } else {
            return;
        }
    }
}

/* Days since 1970-01-01 as a date of the Gregorian calendar. */
static void civil(int64_t days, unsigned *year, unsigned *month, unsigned *day)
{
    int64_t shifted = days + 719468; /* since 0000-03-01 */
    int64_t era = shifted / 146097;
    unsigned of_era = (unsigned)(shifted - era * 146097);
    unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned from_march = (5 * of_year + 2) / 153;

    *day = of_year - (153 * from_march + 2) / 5 + 1;
    *month = from_march < 10 ? from_march + 3 : from_march - 9;
    *year = year_of_era + (unsigned)era * 400 + (*month <= 2);
}

static long put_time(struct text *t)
{
    struct timespec now;
    unsigned year, month, day, second;

    clock_gettime(CLOCK_REALTIME, &now);
    civil(now.tv_sec / 86400, &year, &month, &day);
    second = (unsigned)(now.tv_sec % 86400);
    text_pad(t, year, 4);
    put(t, '-');
    text_pad(t, month, 2);
    put(t, '-');
    text_pad(t, day, 2);
    put(t, 'T');
    text_pad(t, second / 3600, 2);
    put(t, ':');
    text_pad(t, second / 60 % 60, 2);
    put(t, ':');
    text_pad(t, second % 60, 2);
    return now.tv_nsec;
}

void text_time(struct text *t)
{
    put_time(t);
    put(t, 'Z');
}

void text_time_ms(struct text *t)
{
    long ns = put_time(t);

    put(t, '.');
    text_pad(t, (uint64_t)ns / 1000000, 3);
    put(t, 'Z');
}
