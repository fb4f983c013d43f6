/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One place of an address space: its page table entry, locked.
 */
#ifndef _LWC_SLOT_H
#define _LWC_SLOT_H

#include <linux/mm_types.h>

enum lwc_content {
    LWC_EMPTY,   /* nothing, or a mark of the kernel */
    LWC_FOREIGN, /* a page of a file, the zero page */
    LWC_ANON,    /* a page of this memory and its relatives */
    LWC_AWAY,    /* such a page, swapped out or on the move */
};

struct lwc_slot {
    pmd_t *pmd; /* of a huge page, or NULL */
    pte_t *pte; /* or NULL: there is no table */
    spinlock_t *lock;
    struct page *page; /* of LWC_FOREIGN and LWC_ANON; NULL for the zero page */
    enum lwc_content content;
};

void lwc_slot_lock(struct lwc_slot *slot, struct mm_struct *mm, unsigned long address, int nesting);
void lwc_slot_unlock(struct lwc_slot *slot);
bool lwc_slot_is_writable(const struct lwc_slot *slot);
unsigned long lwc_slot_next(struct mm_struct *a, struct mm_struct *b, unsigned long address);

#endif
