/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_RESET_H
#define _LWC_RESET_H

struct lwc;
struct lwc_reset;

int lwc_reset(struct lwc *worker, struct lwc_reset *counts);

#endif
