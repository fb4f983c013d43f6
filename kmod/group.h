/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_GROUP_H
#define _LWC_GROUP_H

void lwc_group_end_soon(void);
void lwc_group_exit(void);

#endif
