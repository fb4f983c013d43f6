// SPDX-License-Identifier: GPL-2.0
/* Finds what symbols.h names in the running kernel. */
#include <linux/kprobes.h>
#include <linux/string.h>

#include "symbols.h"

#define X(name, prototype) DEFINE_STATIC_CALL_NULL(lwc_##name, prototype);
LWC_SYMBOLS(X)
X(kallsyms_on_each_symbol, kallsyms_on_each_symbol)
#undef X

typeof(vm_committed_as) *lwc_vm_committed_as;
typeof(sysctl_max_map_count) *lwc_max_map_count;
typeof(do_no_restart_syscall) *lwc_no_restart;

static struct symbol {
    const char *name;
    unsigned long address;
    unsigned int found;
} symbols[] = {
#define X(name, prototype) {#name, 0, 0},
    LWC_SYMBOLS(X)
#undef X
        {"vm_committed_as", 0, 0},
    {"sysctl_max_map_count", 0, 0},
    {"do_no_restart_syscall", 0, 0},
};

#if LWC_IN_SERIES(1)
static int note(void *unused, const char *name, struct module *module, unsigned long address)
#else
static int note(void *unused, const char *name, unsigned long address)
#endif
{
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(symbols); i++)
        if (!strcmp(symbols[i].name, name)) {
            symbols[i].address = address;
            symbols[i].found++;
        }
    return 0;
}

/* The one function that is looked up by a probe: kprobes take names, and are exported. */
static int find_the_finder(void)
{
    struct kprobe probe = {.symbol_name = "kallsyms_on_each_symbol"};
    int err = register_kprobe(&probe);

    if (err) {
        pr_err("cannot find kallsyms_on_each_symbol: kprobes are not available (%d); kernel "
               "lockdown in confidentiality mode forbids them\n",
               err);
        return err;
    }
    /* With IBT the probe sits behind the landing pad; a direct call may start there too. */
    static_call_update(lwc_kallsyms_on_each_symbol, (void *)probe.addr);
    unregister_kprobe(&probe);
    return 0;
}

int lwc_symbols_init(void)
{
    unsigned int i, bad = 0, at = 0;
    int err = find_the_finder();

    if (err)
        return err;
    static_call(lwc_kallsyms_on_each_symbol)(note, NULL);
    for (i = 0; i < ARRAY_SIZE(symbols); i++) {
        if (symbols[i].found == 1)
            continue;
        pr_err("the kernel has %u symbols of the name %s, one is needed\n", symbols[i].found,
               symbols[i].name);
        bad++;
    }
    if (bad)
        return -ENOENT;
#define X(name, prototype) static_call_update(lwc_##name, (void *)symbols[at++].address);
    LWC_SYMBOLS(X)
#undef X
    lwc_vm_committed_as = (void *)symbols[at++].address;
    lwc_max_map_count = (void *)symbols[at++].address;
    lwc_no_restart = (void *)symbols[at].address;
    return 0;
}
