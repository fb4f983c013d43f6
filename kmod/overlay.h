/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_OVERLAY_H
#define _LWC_OVERLAY_H

struct lwc;
struct lwc_specs;

int lwc_overlay(struct lwc *running, struct lwc *source, const struct lwc_specs *specs);

#endif
