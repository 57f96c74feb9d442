/* portal/families.c - every file of calls, once. */
#include "route.h"

extern const struct route_family session_family, signin_family, mail_family, mail_act_family, mail_body_family,
    handoff_family, decide_family, request_family, export_family, held_family;
extern const struct route_family me_family, audit_family, rules_family, rules_try_family, domains_family, people_family,
    live_family;
extern const struct route_family policies_family, thresholds_family;
extern const struct route_family rules_view_family, rules_beside_family, rules_lists_family, rules_import_family,
    rules_learned_family;
extern const struct route_family brand_family;
extern const struct route_family overview_family, test_mail_family, searches_family, digests_family,
    digest_domain_family;

const struct route_family *const route_families[] = {&session_family,
                                                     &signin_family,
                                                     &handoff_family,
                                                     &mail_family,
                                                     &mail_act_family,
                                                     &mail_body_family,
                                                     &decide_family,
                                                     &request_family,
                                                     &export_family,
                                                     &held_family,
                                                     &me_family,
                                                     &audit_family,
                                                     &rules_view_family,
                                                     &rules_family,
                                                     &rules_try_family,
                                                     &rules_beside_family,
                                                     &rules_lists_family,
                                                     &rules_import_family,
                                                     &rules_learned_family,
                                                     &policies_family,
                                                     &thresholds_family,
                                                     &domains_family,
                                                     &people_family,
                                                     &live_family,
                                                     &brand_family,
                                                     &overview_family,
                                                     &test_mail_family,
                                                     &searches_family,
                                                     &digests_family,
                                                     &digest_domain_family,
                                                     NULL};
