/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_NAME_H
#define _LWC_NAME_H

struct file;
struct lwc;
struct lwc_group;

struct file *lwc_name_open(struct lwc *lwc);
struct lwc *lwc_by_descriptor(struct lwc_group *group, int fd);
int lwc_name_for_current(struct lwc *lwc, int guess);

#endif
