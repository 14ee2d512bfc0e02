/* Layer: optim. Choosing parameters by name and role. */
#ifndef TREAD_OPTIM_SPLIT_H
#define TREAD_OPTIM_SPLIT_H

#include <tread/groups.h>

#include "optim/report.h"

#define TREAD_LIST_NAME 32
/* "0.weight", or "param.<index>" into buffer. */
const char *tread_list_name(tread_parameter_list params, size_t i, char buffer[TREAD_LIST_NAME]);

/* A list that is not empty and has no NULL; `what` begins the sentence. */
tread_status tread_list_check(const char *what, tread_parameter_list params);
/* One that stands in two places of the array, which is sorted for it; NULL: none. */
const tread_parameter *tread_find_twice(tread_parameter **all, size_t n);
/* The places of the list that have the parameter: "0 of 4, 3 of 4". */
void tread_list_places(tread_parameter_list params, const tread_parameter *parameter, tread_report *ret_places);
/* The sentence about one in two places. */
tread_status tread_fail_twice(const char *what, const tread_parameter *parameter, const tread_report *places);
/* Patterns of which each matches one of params. */
tread_status tread_patterns_check(const char *what, const char *patterns, tread_parameter_list params);
/* Whether one of them matches name. They were checked. */
bool tread_patterns_match(const char *patterns, const char *name);

bool tread_parameter_decays(const tread_parameter *parameter);
bool tread_parameter_suits_muon(const tread_parameter *parameter);

#endif
