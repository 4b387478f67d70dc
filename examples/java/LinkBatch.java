// Turns a batch of one agency's symbols into another's, in one call of the C interface.
//
//   java -cp /usr/share/java/jna.jar -Djna.library.path=PREFIX/lib LinkBatch.java \
//       FUGO_TOML FROM TO SYMBOL...
//
// prints a line for each symbol: its number, its status and, where it is "ok", the other agency's
// symbol. JNA (Debian: libjna-java) is used because it needs no native code of one's own and works
// with every JDK since 8; from JDK 22 on, java.lang.foreign does the same without a library.

import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.IntByReference;
import com.sun.jna.ptr.PointerByReference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

public final class LinkBatch {
  static final int OK = 1;
  static final int SYMBOL_BYTES = 28; // fugo_symbol: 27 characters and a zero byte
  static final int ERROR_BYTES = 2048; // fugo_error: size, status, message

  /** Functions of fugo.h. A size_t is a long on 64-bit systems. */
  public interface Fugo extends Library {
    int fugo_open(String configPath, Pointer options, PointerByReference handle, byte[] error);

    void fugo_close(Pointer handle);

    int fugo_find_agency(Pointer handle, String code, IntByReference agency);

    int fugo_link(
        Pointer handle,
        long n,
        int[] from,
        int[] to,
        String[] symbols,
        byte[] linked,
        byte[] records,
        int[] statuses);

    String fugo_status_name(int status);
  }

  static String text(byte[] bytes, int from, int most) {
    int end = from;
    while (end < from + most && bytes[end] != 0) ++end;
    return new String(bytes, from, end - from, StandardCharsets.UTF_8);
  }

  static int agency(Fugo fugo, Pointer handle, String code) {
    IntByReference number = new IntByReference(0);
    fugo.fugo_find_agency(handle, code, number);
    return number.getValue();
  }

  public static void main(String[] args) {
    if (args.length < 4) {
      System.err.println("usage: LinkBatch FUGO_TOML FROM TO SYMBOL...");
      System.exit(2);
    }
    Fugo fugo = Native.load("fugo", Fugo.class);
    PointerByReference opened = new PointerByReference();
    byte[] error = new byte[ERROR_BYTES];
    ByteBuffer.wrap(error).order(ByteOrder.nativeOrder()).putInt(0, ERROR_BYTES);
    if (fugo.fugo_open(args[0], null, opened, error) != OK) {
      System.err.println("LinkBatch: " + text(error, 8, ERROR_BYTES - 8));
      System.exit(1);
    }
    Pointer handle = opened.getValue();
    try {
      String[] symbols = Arrays.copyOfRange(args, 3, args.length);
      int n = symbols.length;
      int[] from = new int[n];
      int[] to = new int[n];
      Arrays.fill(from, agency(fugo, handle, args[1]));
      Arrays.fill(to, agency(fugo, handle, args[2]));
      byte[] linked = new byte[n * SYMBOL_BYTES];
      byte[] records = new byte[n * SYMBOL_BYTES];
      int[] statuses = new int[n];
      fugo.fugo_link(handle, n, from, to, symbols, linked, records, statuses);
      for (int i = 0; i < n; ++i)
        System.out.println(
            (i + 1)
                + " "
                + fugo.fugo_status_name(statuses[i])
                + " "
                + text(linked, i * SYMBOL_BYTES, SYMBOL_BYTES));
    } finally {
      fugo.fugo_close(handle);
    }
  }
}
