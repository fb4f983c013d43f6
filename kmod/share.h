/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_SHARE_H
#define _LWC_SHARE_H

struct lwc_specs;

int lwc_share_memory(const struct lwc_specs *specs);

#endif
