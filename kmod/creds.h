/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_CREDS_H
#define _LWC_CREDS_H

struct cred;
struct lwc;
struct lwc_creds;

struct lwc_creds *lwc_creds_alloc(void);
void lwc_creds_put(struct lwc_creds *creds);
int lwc_creds_copy_current(struct lwc *to);
void lwc_creds_share(struct lwc *to, struct lwc *with);
int lwc_creds_copy_parked(struct lwc *to, const struct lwc *from);
const struct cred *lwc_creds_next(const struct lwc *from, const struct lwc *to);
void lwc_creds_switch(struct lwc *from, struct lwc *to);
const struct cred *lwc_creds_overlaid(const struct lwc *running, const struct lwc *source);
int lwc_creds_overlay(struct lwc *running, struct lwc *source, u32 action);

#endif
