/* SPDX-License-Identifier: MIT */
#include "verify_place.h"

#include <elf.h>
#include <string.h>

enum { NAME = 96, SYMBOLS = 128 /* read at once */, SEGMENTS = 32, ENTRIES = 128 };

static uint64_t word(const struct memory *m, uint64_t at)
{
    uint64_t value = 0;

    return memory_fetch(m, at, &value, sizeof value) ? 0 : value;
}

/* Reads a string that may be anything. Returns its length, 0 where it is not
 * one of printable characters. */
static size_t name_at(const struct memory *m, uint64_t at, char name[NAME])
{
    size_t len;

    for (len = 0; len < NAME - 1; len++) {
        if (memory_fetch(m, at + len, &name[len], 1))
            return 0;
        if (!name[len])
            return len;
        if (name[len] <= ' ' || name[len] > '~')
            return 0;
    }
    name[len] = 0;
    return len;
}

static void put_offset(struct text *why, uint64_t offset)
{
    text_str(why, "+0x");
    note_hex(why, offset);
}

/* --- the C symbol (elf(5)) ---------------------------------------------------------- */

/* Where the file that `at` belongs to begins in memory; 0 if to none. Its
 * zeroed data are mappings without a name behind those of the file. */
static uint64_t module_at(const struct note *areas, uint64_t at)
{
    const char *line = areas->start;
    uint64_t base = 0, end = 0;
    struct area a;

    while (areas_next(areas, &line, &a)) {
        if (a.name_len && a.name[0] == '/') {
            if (a.offset == 0)
                base = a.start;
        } else if (a.name_len || a.start != end) {
            base = 0;
        }
        end = a.end;
        if (at < a.end)
            return at >= a.start ? base : 0;
    }
    return 0;
}

struct symbols {
    uint64_t bias, table, names;
    uint64_t end;  /* of what the file occupies in memory */
    uint64_t size; /* of the table, in bytes */
};

static int find_dynamic(const struct memory *m, uint64_t base, struct symbols *s, Elf64_Phdr *ph)
{
    Elf64_Ehdr head;
    unsigned i, found = 0;

    if (memory_fetch(m, base, &head, sizeof head) || memcmp(head.e_ident, ELFMAG, SELFMAG) ||
        head.e_phnum > SEGMENTS)
        return 0;
    for (i = 0; i < head.e_phnum; i++) {
        Elf64_Phdr p;

        if (memory_fetch(m, base + head.e_phoff + i * sizeof p, &p, sizeof p))
            return 0;
        if (p.p_type == PT_LOAD && p.p_offset == 0)
            s->bias = base - p.p_vaddr;
        if (p.p_type == PT_LOAD)
            s->end = s->bias + p.p_vaddr + p.p_memsz;
        if (p.p_type == PT_DYNAMIC) {
            *ph = p;
            found = 1;
        }
    }
    return (int)found;
}

static int find_symbols(const struct memory *m, uint64_t base, struct symbols *s)
{
    Elf64_Phdr dynamic;
    Elf64_Dyn d;
    unsigned i;

    memset(s, 0, sizeof *s);
    if (!find_dynamic(m, base, s, &dynamic))
        return 0;
    for (i = 0; i < ENTRIES; i++) {
        if (memory_fetch(m, s->bias + dynamic.p_vaddr + i * sizeof d, &d, sizeof d) ||
            d.d_tag == DT_NULL)
            break;
        if (d.d_tag == DT_SYMTAB)
            s->table = d.d_un.d_ptr;
        else if (d.d_tag == DT_STRTAB)
            s->names = d.d_un.d_ptr;
    }
    /* The loader has made addresses of them, for most files. */
    if (s->table && s->table < base)
        s->table += s->bias;
    if (s->names && s->names < base)
        s->names += s->bias;
    /* How many there are is told nowhere; linkers put the names behind them. */
    if (!s->table || s->names <= s->table)
        return 0;
    s->size = s->names - s->table;
    return 1;
}

/* Is it a better name for `at` than `best`? */
static int is_nearer(const Elf64_Sym *s, const Elf64_Sym *best, uint64_t at)
{
    unsigned type = ELF64_ST_TYPE(s->st_info);

    if (s->st_shndx == SHN_UNDEF || s->st_value > at || !s->st_name ||
        (type != STT_OBJECT && type != STT_FUNC && type != STT_NOTYPE))
        return 0;
    return !best->st_name || s->st_value > best->st_value;
}

static void name_symbol(const struct memory *m, uint64_t base, uint64_t at, struct text *why)
{
    Elf64_Sym some[SYMBOLS], best;
    struct symbols s;
    uint64_t done, i, n;
    char name[NAME];

    if (!find_symbols(m, base, &s) || at >= s.end)
        return;
    memset(&best, 0, sizeof best);
    for (done = 0; done < s.size; done += n * sizeof *some) {
        n = (s.size - done) / sizeof *some;
        if (n > SYMBOLS)
            n = SYMBOLS;
        if (!n || memory_fetch(m, s.table + done, some, n * sizeof *some))
            break;
        for (i = 0; i < n; i++)
            if (is_nearer(&some[i], &best, at - s.bias))
                best = some[i];
    }
    if (!best.st_name || !name_at(m, s.names + best.st_name, name))
        return;
    text_str(why,
             at - s.bias < best.st_value + best.st_size ? "; C symbol " : "; behind C symbol ");
    text_str(why, name);
    put_offset(why, at - s.bias - best.st_value);
}

/* --- the Python object ---------------------------------------------------------------- */

/* Where CPython, 3.11 to 3.14, keeps what we look for. */
enum { OB_TYPE = 8, OB_SIZE = 16, TP_NAME = 24, TP_BASICSIZE = 32, TP_ITEMSIZE = 40 };
enum { ALIGNED = 16, BEHIND = 512, SLACK = 64, LARGEST = 1 << 20 };
enum { HEADS = 32 /* of the collector, and of the values, in front of an object */ };

static int is_type(const struct memory *m, uint64_t at, uint64_t type)
{
    uint64_t meta;

    if (!at || at % 8)
        return 0;
    meta = word(m, at + OB_TYPE);
    return meta == type || (meta && meta % 8 == 0 && word(m, meta + OB_TYPE) == type);
}

/* How many bytes the object has. */
static uint64_t size_of(const struct memory *m, uint64_t object, uint64_t of)
{
    uint64_t size = word(m, of + TP_BASICSIZE), item = word(m, of + TP_ITEMSIZE);
    uint64_t count = item && item < LARGEST ? word(m, object + OB_SIZE) : 0;

    if (size > LARGEST)
        return 0;
    if (count >> 63)
        count = 0 - count; /* integers, before 3.12, keep their sign there */
    return count < LARGEST ? size + count * item : size;
}

/* Is there an object at `object` that has `at` among its bytes, or at most
 * `slack` behind them, or in front of them? */
static int name_object(const struct memory *m, uint64_t object, uint64_t type, uint64_t at,
                       uint64_t slack, struct text *why)
{
    uint64_t of = word(m, object + OB_TYPE), end;
    char name[NAME];

    if (!is_type(m, of, type) || !name_at(m, word(m, of + TP_NAME), name))
        return 0;
    end = object + size_of(m, object, of);
    if (at >= end + slack)
        return 0;
    text_str(why, at < object ? "; in front of a Python object of type "
                  : at < end  ? "; Python object of type "
                              : "; behind a Python object of type ");
    text_str(why, name);
    text_str(why, " at 0x");
    note_hex(why, object);
    if (at >= object)
        put_offset(why, at - object);
    if (is_type(m, object, type) && name_at(m, word(m, object + TP_NAME), name)) {
        text_str(why, ", the type ");
        text_str(why, name);
    }
    return 1;
}

void place_name(const struct memory *m, const struct note *areas, uint64_t type, uint64_t at,
                struct text *why)
{
    uint64_t base = module_at(areas, at), nearest = at & ~(uint64_t)(ALIGNED - 1), object;

    if (base)
        name_symbol(m, base, at, why);
    if (!type)
        return;
    for (object = nearest; object + BEHIND > at; object -= ALIGNED)
        if (name_object(m, object, type, at, 0, why))
            return;
    for (object = nearest + ALIGNED; object <= nearest + HEADS; object += ALIGNED)
        if (name_object(m, object, type, at, 0, why))
            return;
    /* Some have more than their type says. */
    for (object = nearest; object + BEHIND > at; object -= ALIGNED)
        if (name_object(m, object, type, at, SLACK, why))
            return;
}
