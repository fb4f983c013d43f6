/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_FILES_H
#define _LWC_FILES_H

struct files_struct;
struct lwc_files_held;
struct lwc;
struct lwc_group;
struct lwc_specs;

int lwc_files_make(struct lwc *to, const struct lwc_specs *specs);
int lwc_files_copy_parked(struct lwc *to, const struct lwc *from);
struct files_struct *lwc_files_swap(struct files_struct *files);
void lwc_files_put(struct files_struct *files);

struct lwc_files_held *lwc_files_hold(struct files_struct *files, const struct lwc_specs *specs);
void lwc_files_let_go(struct lwc_files_held *held);
int lwc_files_overlay(const struct lwc_files_held *held, const struct lwc_specs *specs);
void lwc_files_join(struct files_struct *files);
void lwc_files_close(const struct lwc_specs *specs);

#endif
