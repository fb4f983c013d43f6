// SPDX-License-Identifier: GPL-2.0
/*
 * Finds and locks page table entries.
 *
 * The memory is locked for writing, so the upper tables stay. But reclaim and compaction change
 * entries and split huge ones under the entry's own lock, and the last table of a file's mapping
 * can be taken away (retract_page_tables()); it is freed after a grace period.
 */
#include <linux/mm.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include "slot.h"

static pmd_t *find_pmd(struct mm_struct *mm, unsigned long address)
{
    pgd_t *pgd = pgd_offset(mm, address);
    p4d_t *p4d;
    pud_t *pud;
    pmd_t *pmd;

    if (pgd_none(*pgd))
        return NULL;
    p4d = p4d_offset(pgd, address);
    if (p4d_none(*p4d))
        return NULL;
    pud = pud_offset(p4d, address);
    if (pud_none(*pud) || pud_trans_huge(*pud) || pud_devmap(*pud))
        return NULL;
    pmd = pmd_offset(pud, address);
    return pmd_none(*pmd) ? NULL : pmd;
}

static bool is_huge(pmd_t pmd)
{
    return pmd_trans_huge(pmd) || pmd_devmap(pmd) || (!pmd_none(pmd) && !pmd_present(pmd));
}

static void look_at_huge(struct lwc_slot *slot, unsigned long address)
{
    pmd_t pmd = *slot->pmd;

    if (!pmd_present(pmd)) {
        slot->content = LWC_AWAY;
        return;
    }
    slot->content = LWC_FOREIGN;
    if (pmd_devmap(pmd))
        return;
    slot->page = pmd_page(pmd) + ((address & ~HPAGE_PMD_MASK) >> PAGE_SHIFT);
    if (PageAnon(slot->page))
        slot->content = LWC_ANON;
}

static void look_at(struct lwc_slot *slot)
{
    pte_t pte = *slot->pte;

    if (pte_none(pte))
        return;
    if (!pte_present(pte)) {
        swp_entry_t entry = pte_to_swp_entry(pte);

        if (!non_swap_entry(entry) ||
            (is_migration_entry(entry) && PageAnon(pfn_swap_entry_to_page(entry))))
            slot->content = LWC_AWAY;
        return;
    }
    slot->content = LWC_FOREIGN;
    if (pte_special(pte) || pte_devmap(pte))
        return;
    slot->page = pte_page(pte);
    if (PageAnon(slot->page))
        slot->content = LWC_ANON;
}

static bool lock_huge(struct lwc_slot *slot, struct mm_struct *mm, pmd_t *pmd, int nesting)
{
    slot->lock = pmd_lockptr(mm, pmd);
    spin_lock_nested(slot->lock, nesting);
    if (is_huge(*pmd))
        return true;
    /* Split a moment ago. */
    spin_unlock(slot->lock);
    slot->lock = NULL;
    return false;
}

/* As pte_offset_map_lock(): the table that was found may be gone when its lock is held. */
static bool lock_table(struct lwc_slot *slot, struct mm_struct *mm, pmd_t *pmd, pmd_t value,
                       unsigned long address, int nesting)
{
    slot->pte = pte_offset_kernel(&value, address);
    slot->lock = pte_lockptr(mm, &value);
    spin_lock_nested(slot->lock, nesting);
    if (pmd_same(value, READ_ONCE(*pmd)))
        return true;
    spin_unlock(slot->lock);
    slot->lock = NULL;
    slot->pte = NULL;
    return false;
}

/* To be unlocked in any case. */
void lwc_slot_lock(struct lwc_slot *slot, struct mm_struct *mm, unsigned long address, int nesting)
{
    pmd_t *pmd = find_pmd(mm, address);
    pmd_t value;

    memset(slot, 0, sizeof(*slot));
    rcu_read_lock();
    while (pmd) {
        value = READ_ONCE(*pmd);
        if (pmd_none(value) || (!is_huge(value) && pmd_bad(value)))
            break;
        if (is_huge(value) && lock_huge(slot, mm, pmd, nesting)) {
            slot->pmd = pmd;
            look_at_huge(slot, address);
            break;
        }
        if (!is_huge(value) && lock_table(slot, mm, pmd, value, address, nesting)) {
            look_at(slot);
            break;
        }
    }
    rcu_read_unlock();
}

void lwc_slot_unlock(struct lwc_slot *slot)
{
    if (slot->lock)
        spin_unlock(slot->lock);
}

bool lwc_slot_is_writable(const struct lwc_slot *slot)
{
    return slot->pte && pte_write(*slot->pte);
}

/*
 * The next address, from `address` on, at which one of two memories has a page table. Where both
 * have the same huge page it is passed over.
 */
unsigned long lwc_slot_next(struct mm_struct *a, struct mm_struct *b, unsigned long address)
{
    pmd_t *in_a = find_pmd(a, address), *in_b = find_pmd(b, address);

    if (!in_a && !in_b)
        return (address & PMD_MASK) + PMD_SIZE;
    if (in_a && in_b && pmd_trans_huge(*in_a) && pmd_trans_huge(*in_b) &&
        pmd_pfn(*in_a) == pmd_pfn(*in_b))
        return (address & PMD_MASK) + PMD_SIZE;
    return address;
}
