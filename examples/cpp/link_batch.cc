// Turns a batch of one agency's symbols into another's, in one call.
//   link-batch FUGO_TOML FROM TO SYMBOL...
// prints a line for each symbol: its number, its status and, where it is "ok", the other agency's
// symbol. A real core system also files what it finds under the record symbol.
#include <cstdio>
#include <fugo/fugo.hpp>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: link-batch FUGO_TOML FROM TO SYMBOL...\n");
    return 2;
  }
  auto opened = fugo::Linkage::open(argv[1]);
  if (!opened) {
    std::fprintf(stderr, "link-batch: %s\n", opened.error().message.c_str());
    return 1;
  }
  fugo::Linkage linkage = *std::move(opened);

  const fugo::Agency from = linkage.find_agency(argv[2]);
  const fugo::Agency to = linkage.find_agency(argv[3]);
  std::vector<fugo::Inquiry> inquiries;
  for (int i = 4; i < argc; ++i) inquiries.push_back({from, to, argv[i]});

  bool all_filed = true;
  std::size_t number = 0;
  for (const fugo::Linked& answer : linkage.link(inquiries)) {
    std::printf("%zu %s %s\n", ++number, std::string(fugo::name_of(answer.status)).c_str(),
                std::string(answer.symbol.text()).c_str());
    if (answer.status == fugo::LinkStatus::kOk) all_filed = all_filed && !answer.record.empty();
  }
  return all_filed ? 0 : 1;
}
