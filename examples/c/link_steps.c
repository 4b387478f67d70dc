/*
 * Turns one agency's symbols into another's, one by one and step by step.
 *   link-steps FUGO_TOML FROM TO SYMBOL...
 * prints a line for each symbol: its number, its status and, where it is "ok", the other agency's
 * symbol.
 */
#include <fugo/fugo.h>
#include <stdio.h>

/* link_one resolves a symbol to a person, and asks three things about the person. */
static fugo_status link_one(fugo_linkage* linkage, fugo_agency from, fugo_agency to,
                            const char* text, fugo_symbol* linked) {
  fugo_person person;
  fugo_symbol record;
  /* For one item no array of statuses is needed: the returned value is the item's. */
  fugo_status status = fugo_resolve(linkage, 1, &from, &text, &person, NULL);
  if (status == FUGO_OK) status = fugo_is_issued(linkage, 1, &person, &to, NULL);
  if (status == FUGO_OK) status = fugo_symbol_for(linkage, 1, &person, &to, linked, NULL);
  /* What the core system files about the person, it files under this symbol. */
  if (status == FUGO_OK) status = fugo_record_symbol(linkage, 1, &person, &record, NULL);
  return status;
}

int main(int argc, char** argv) {
  fugo_linkage* linkage = NULL;
  fugo_error error = FUGO_ERROR_INIT;
  fugo_agency from = 0, to = 0;
  int i;
  if (argc < 4) {
    fprintf(stderr, "usage: link-steps FUGO_TOML FROM TO SYMBOL...\n");
    return 2;
  }
  if (fugo_open(argv[1], NULL, &linkage, &error) != FUGO_OK) {
    fprintf(stderr, "link-steps: %s\n", error.message);
    return 1;
  }
  fugo_find_agency(linkage, argv[2], &from); /* an unknown one stays 0, and is told by each item */
  fugo_find_agency(linkage, argv[3], &to);
  for (i = 4; i < argc; ++i) {
    fugo_symbol linked = {""};
    const fugo_status status = link_one(linkage, from, to, argv[i], &linked);
    printf("%d %s %s\n", i - 3, fugo_status_name(status), linked.text);
  }
  fugo_close(linkage);
  return 0;
}
