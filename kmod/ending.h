/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_ENDING_H
#define _LWC_ENDING_H

int lwc_ending_init(void);
void lwc_ending_exit(void);

#endif
