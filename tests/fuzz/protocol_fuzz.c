/* SPDX-License-Identifier: MIT */
/*
 * Feeds the protocol code with mutated FastCGI streams under ASan and UBSan:
 *
 *     protocol_fuzz SECONDS SEED
 *
 * Inputs are copied to the very end of a mapping that is followed by a page
 * without access, so that reading one byte too far is a crash even where the
 * sanitizer does not look. Prints the number of inputs; any finding aborts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "fcgi.h"
#include "params.h"

enum { PAGE = 4096, ROOM = 64 * PAGE };

static uint64_t state;

static uint32_t rnd(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below ? (uint32_t)(state >> 16) % below : 0;
}

static uint8_t *guarded;

/* Returns `len` bytes that end where the guard page begins. */
static uint8_t *at_the_edge(const uint8_t *data, size_t len)
{
    uint8_t *at = guarded + ROOM - len;

    if (len)
        memcpy(at, data, len);
    return at;
}

static size_t put_length(uint8_t *to, uint32_t n, int wrong)
{
    if (wrong)
        n = rnd(3) ? 0x7fffffff : rnd(0x7fffffff);
    if (n < 128 && rnd(8)) {
        to[0] = (uint8_t)n;
        return 1;
    }
    to[0] = (uint8_t)(n >> 24 | 0x80);
    to[1] = (uint8_t)(n >> 16);
    to[2] = (uint8_t)(n >> 8);
    to[3] = (uint8_t)n;
    return 4;
}

static size_t some_pairs(uint8_t *to, size_t room)
{
    static const char *const names[] = {"CONTENT_LENGTH", "HTTP_COOKIE", "HTTP_PROXY", "HTTP_X",
                                        "REQUEST_URI",    "SCRIPT_NAME", "X",          ""};
    size_t len = 0, count = rnd(12);

    while (count-- && len + 400 < room) {
        const char *name = names[rnd(8)];
        uint32_t name_len = (uint32_t)strlen(name), value_len = rnd(rnd(4) ? 20 : 300), i;
        int wrong = rnd(40) == 0;

        len += put_length(to + len, name_len, wrong && rnd(2));
        len += put_length(to + len, value_len, wrong);
        memcpy(to + len, name, name_len);
        len += name_len;
        for (i = 0; i < value_len; i++)
            to[len++] = (uint8_t)(rnd(50) ? '0' + rnd(10) : rnd(256));
    }
    return len;
}

static size_t some_record(uint8_t *to, size_t room)
{
    static const uint8_t types[] = {1, 1, 2, 4, 4, 4, 5, 5, 8, 9, 11, 77, 0};
    uint8_t content[4096];
    unsigned type = types[rnd(sizeof types)], padding = rnd(3) ? rnd(8) : rnd(256);
    unsigned id = rnd(20) ? type != 9 : rnd(3);
    size_t len = type == 1                ? 8
                 : type == 4 || type == 9 ? some_pairs(content, sizeof content)
                                          : rnd(600);

    if (FCGI_HEADER_LEN + len + padding > room)
        return 0;
    if (type == 1) {
        memset(content, 0, 8);
        content[1] = (uint8_t)(1 + rnd(4));
    }
    fcgi_header(to, (int)type, id, (unsigned)len, padding);
    memcpy(to + FCGI_HEADER_LEN, content, len);
    memset(to + FCGI_HEADER_LEN + len, 0x5a, padding);
    return FCGI_HEADER_LEN + len + padding;
}

static size_t some_stream(uint8_t *to, size_t room)
{
    size_t len = 0, records = 1 + rnd(8), flips = rnd(4) ? 0 : 1 + rnd(6);

    while (records--)
        len += some_record(to + len, room - len);
    while (len && flips--)
        to[rnd((uint32_t)len)] = (uint8_t)rnd(256);
    return rnd(5) ? len : rnd((uint32_t)len + 1);
}

static void require(int truth, const char *what)
{
    if (!truth) {
        fprintf(stderr, "protocol_fuzz: %s\n", what);
        abort();
    }
}

static void parse_in_pieces(const uint8_t *data, size_t len)
{
    struct fcgi_parser parser;
    struct fcgi_event ev;
    size_t given = 0, taken = 0;

    fcgi_reset(&parser);
    while (given < len) {
        size_t n = 1 + rnd((uint32_t)(len - given));
        const uint8_t *at = at_the_edge(data + given, n), *end = at + n;

        while (fcgi_next(&parser, &at, end, &ev) != FCGI_EV_NEED_MORE) {
            uint8_t reply[FCGI_VALUES_MAX];
            if (ev.kind == FCGI_EV_ERROR)
                return;
            require(at <= end, "the parser ran past its input");
            if (ev.kind == FCGI_EV_GET_VALUES)
                require(fcgi_values(reply, ev.data, ev.len, rnd(0), rnd(0)) <= sizeof reply,
                        "GET_VALUES' answer is longer than promised");
            else
                taken += ev.len;
        }
        require(at == end, "the parser left input lying");
        given += n;
    }
    require(taken <= len, "more stream bytes came out than went in");
}

static void decode(const uint8_t *data, size_t len)
{
    static struct pair scratch[PARAMS_MAX_PAIRS];
    struct params_known known;
    uint64_t length;
    uint8_t *block = malloc(len + 1);
    const uint8_t *at = at_the_edge(data, len);
    long n = params_decode(at, len, block, scratch, &known);

    require(n <= (long)len, "the block is longer than its pairs");
    require(n < 1 || block[n - 1] == 0, "the block does not end with NUL");
    if (n >= 0)
        params_content_length(&known.content_length, &length);
    free(block);
}

int main(int argc, char **argv)
{
    static uint8_t input[32 * PAGE];
    long seconds = argc > 1 ? atol(argv[1]) : 1, inputs = 0;
    time_t end = time(NULL) + seconds;

    state = (argc > 2 ? strtoull(argv[2], NULL, 10) : 1) * 2654435761u + 88172645463325252ull;
    guarded = mmap(NULL, ROOM + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(guarded != MAP_FAILED, "no memory");
    require(mprotect(guarded + ROOM, PAGE, PROT_NONE) == 0, "no guard page");
    do {
        int round;
        for (round = 0; round < 1000; round++, inputs++) {
            parse_in_pieces(input, some_stream(input, sizeof input));
            decode(input, some_pairs(input, sizeof input));
        }
    } while (time(NULL) < end);
    printf("fuzz: %ld inputs in %ld s, 0 findings\n", inputs, seconds);
    return 0;
}
